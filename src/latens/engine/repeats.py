"""Identical rows, so that they need be looked at only once."""

from typing import Any, NamedTuple

import jax
import numpy as np

FEWEST = 2_000  # rows below which it is not worth while
SAMPLE = 500  # rows that say whether to look at all


class Repeats(NamedTuple):
    """Distinct rows: `first` (m,) a row that is like each; `which` (n,) of them every row is."""

    first: np.ndarray
    which: np.ndarray


def repeats(xs: Any) -> Repeats | None:
    """The distinct rows, if there are at most half as many as rows."""
    leaves = [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(xs)]
    n = len(leaves[0])
    if n < FEWEST:
        return None
    few = np.concatenate([leaf[:: -(-n // SAMPLE)].astype(float) for leaf in leaves], 1)
    if len(np.unique(few, axis=0)) > 0.9 * len(few):
        return None
    import polars as pl  # slow to load, and most data have no identical rows

    columns = [leaf[:, j].astype(float) for leaf in leaves for j in range(leaf.shape[1])]
    names = [str(j) for j in range(len(columns))]
    frame = pl.DataFrame(dict(zip(names, columns, strict=True))).with_row_index("row")
    first = frame.group_by(names, maintain_order=True).agg(pl.col("row").first().alias("first"))
    if len(first) > n // 2:
        return None
    which = frame.join(first.with_row_index("which"), on=names, how="left", nulls_equal=True, maintain_order="left")
    return Repeats(first["first"].to_numpy(), which["which"].to_numpy())
