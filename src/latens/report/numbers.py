"""Digits: an estimate is shown as far as its standard error lets it be known."""

from math import floor, inf, isfinite, log10


def decimals(error: float) -> int:
    """Decimal places that show five significant digits of a standard error."""
    return min(max(4 - floor(log10(error)), 0), 15) if isfinite(error) and error > 0 else 6


def with_error(value: float, error: float) -> tuple[str, str]:
    """Estimate and standard error to the same decimal place."""
    if abs(value) >= 1e9 or 0 < error < 1e-9:
        return f"{value:.6g}", f"{error:.5g}"
    places = decimals(error)
    return f"{round(value, places) + 0.0:.{places}f}", f"{error:.{places}f}"  # + 0.0: no "-0.000"


def alone(value: float) -> str:
    """A number without an error: seven significant digits, and 0 for what is 0 but for rounding."""
    return "0" if abs(value) < 2e-16 else f"{value:.7g}"


def between(low: float, high: float) -> str:
    """An interval, to two digits fewer than its standard error; an end without bound is none."""
    if high == inf:
        return "not bounded" if low in (0.0, -inf) else f"at least {alone(low)}"
    if low == -inf:
        return f"at most {alone(high)}"
    if not 1e-9 < max(abs(low), abs(high)) < 1e9:
        return f"{low:.5g} .. {high:.5g}"
    places = max(decimals((high - low) / 4) - 2, 0)
    return f"{low:.{places}f} .. {high:.{places}f}"
