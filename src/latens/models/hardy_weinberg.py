"""Genotypes under random mating, seen as phenotypes."""

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

from latens.errors import ModelError, listed
from latens.models.gene_counting import Cells


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
    if not isinstance(alleles, str | Sequence):
        raise ModelError(
            f"HardyWeinberg: alleles must be a text such as 'C > I > T' or a list of names, got {alleles!r}"
        )
    ranks = _ranks(alleles)
    names = list(ranks)
    if len(names) < 2 or len(set(names)) < len(names) or not all(n.isidentifier() for n in names):
        raise ModelError(f"HardyWeinberg: give at least two alleles, different names like C or A1; got {alleles!r}")
    join = "" if all(len(n) == 1 for n in names) else "/"
    cells: dict[str, str] = {}
    looks: dict[str, list[str]] = {}  # what shows → the genotypes that may be behind it
    for a, b in combinations_with_replacement(names, 2):
        genotype = join.join((a, b))
        cells[genotype] = f"{a}*{a}" if a == b else f"2*{a}*{b}"
        top = min(ranks[a], ranks[b])
        looks.setdefault(join.join(dict.fromkeys(n for n in (a, b) if ranks[n] == top)), []).append(genotype)
    order = {genotype: i for i, genotype in enumerate(cells)}
    phenotypes = {look: look for look in looks} if phenotypes is None else phenotypes
    seen = {}
    for phenotype, given in phenotypes.items():
        wanted = [given] if isinstance(given, str) else list(given)
        for w in wanted:
            if w not in looks and w not in cells:
                raise ModelError(
                    f"phenotype '{phenotype}': '{w}' is neither what a genotype shows ({listed(list(looks))}) "
                    f"nor a genotype ({listed(list(cells))})"
                )
        behind = {g for w in wanted for g in (*looks.get(w, ()), *([w] if w in cells else ()))}
        seen[phenotype] = sorted(behind, key=order.__getitem__)
    return Cells(cells, seen=seen, parameters=[tuple(names)])


def _ranks(alleles: str | Sequence[str]) -> dict[str, int]:
    """allele → rank of dominance; without any order all are codominant."""
    if not isinstance(alleles, str):
        return dict.fromkeys(map(str, alleles), 0)
    levels = [[name.strip() for name in level.split("=")] for level in alleles.split(">")]
    return {name: rank for rank, level in enumerate(levels) for name in level}
