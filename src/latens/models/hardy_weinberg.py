"""Genotypes under random mating, seen as phenotypes."""

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

from latens.errors import ModelError
from latens.models.cells import Cells


def HardyWeinberg(alleles: str | Sequence[str], phenotypes: Mapping[str, str | Sequence[str]] | None = None) -> Cells:
    """Gene counting: genotypes in Hardy–Weinberg proportions, seen as phenotypes.

        P(aa) = p_a²,   P(ab) = 2 p_a p_b

    **Arguments:** `alleles`: names, or their order of dominance: "C > I > T"; "A = B > O" makes A and B
    codominant. `phenotypes`: name → what it may have come from: an allele or several codominant ones
    that show ("C", "AB"), a genotype ("CI"), or a list of these ("insularia or typica": ["I", "T"]).
    Left out, each appearance is a phenotype of its own.
    **Parameters:** the frequency of each allele, by its name.
    **Raises:** `ModelError` for fewer than two alleles or an unknown phenotype.
    **Example:** the peppered moths:
        >>> import latens as lt
        >>> moths = lt.HardyWeinberg("C > I > T", {"carbonaria": "C", "insularia": "I", "typica": "T"})
        >>> fit = lt.fit(moths, {"carbonaria": 85, "insularia": 196, "typica": 341})
        >>> {allele: round(float(p), 6) for allele, p in fit.params.items()}
        {'C': 0.070837, 'I': 0.188737, 'T': 0.740427}

    **Source:** Givens & Hoeting (2013), Computational Statistics, ex. 4.2.
    """
    ranks = _ranks(alleles)
    names = list(ranks)
    if len(names) < 2 or len(set(names)) < len(names) or not all(n.isidentifier() for n in names):
        raise ModelError(f"HardyWeinberg: give at least two alleles, different names like C or A1; got {alleles!r}")
    join = "" if all(len(n) == 1 for n in names) else "/"
    cells, shows = {}, {}
    for a, b in combinations_with_replacement(names, 2):
        genotype = join.join((a, b))
        cells[genotype] = f"{a}*{a}" if a == b else f"2*{a}*{b}"
        top = min(ranks[a], ranks[b])
        shows[genotype] = join.join(dict.fromkeys(n for n in (a, b) if ranks[n] == top))
    looks = list(dict.fromkeys(shows.values()))
    phenotypes = {look: look for look in looks} if phenotypes is None else phenotypes
    seen = {}
    for phenotype, given in phenotypes.items():
        wanted = [given] if isinstance(given, str) else list(given)
        for w in wanted:
            if w not in looks and w not in cells:
                raise ModelError(
                    f"phenotype '{phenotype}': '{w}' is neither what a genotype shows ({', '.join(looks)}) "
                    f"nor a genotype ({', '.join(cells)})"
                )
        seen[phenotype] = [g for g in cells if g in wanted or shows[g] in wanted]
    return Cells(cells, seen=seen, parameters=[tuple(names)])


def _ranks(alleles: str | Sequence[str]) -> dict[str, int]:
    """allele → rank of dominance; without any order all are codominant."""
    if not isinstance(alleles, str):
        return dict.fromkeys(map(str, alleles), 0)
    levels = [[name.strip() for name in level.split("=")] for level in alleles.split(">")]
    return {name: rank for rank, level in enumerate(levels) for name in level}
