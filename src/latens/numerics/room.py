"""Sizes of batches: few different ones, as a program is compiled for each."""

LEAST = 16
STEPS = 4  # between a power of two and the next


def room(n: int) -> int:
    """The number of rows that n are filled up to: a quarter more at most, but for very few."""
    step = max(2 ** (n.bit_length() - 1) // STEPS, 1)
    return max(-(-n // step) * step, LEAST)
