"""Digits: an estimate is shown as far as its standard error lets it be known."""

from math import floor, inf, isfinite, log10

MOST_PLACES, MOST_DIGITS = 12, 15  # after the point, and in all, before powers of ten are written


def with_error(value: float, error: float) -> tuple[str, str]:
    """Estimate and standard error to the same decimal place: five significant digits of the error."""
    if not (isfinite(error) and error > 0 and isfinite(value)):
        return alone(value), alone(error)
    places = 4 - floor(log10(error))
    return _placed(value, places, max(abs(value), error)), _placed(error, places, max(abs(value), error))


def alone(value: float) -> str:
    """A number without an error: seven significant digits, more of a large one; 0 for what is 0 but for rounding."""
    return "0" if abs(value) < 2e-16 else f"{value:.{7 if abs(value) < 1e7 else 12}g}"


def between(low: float, high: float) -> str:
    """An interval, to two digits fewer than its standard error; an end without bound is none."""
    if high == inf:
        return "not bounded" if low in (0.0, -inf) else f"at least {alone(low)}"
    if low == -inf:
        return f"at most {alone(high)}"
    if not 0 < high - low < inf:
        return f"{alone(low)} .. {alone(high)}"
    places, largest = 2 - floor(log10((high - low) / 4)), max(abs(low), abs(high))
    return f"{_placed(low, places, largest)} .. {_placed(high, places, largest)}"


def _placed(value: float, places: int, largest: float) -> str:
    """A number to so many decimal places, by a power of ten if it or its neighbour has too many digits."""
    digits = floor(log10(largest)) + places
    if places > MOST_PLACES or digits - min(places, 0) > MOST_DIGITS:
        own = digits - floor(log10(largest)) + floor(log10(abs(value))) if value else 0
        return f"{value:.{min(max(own, 0), MOST_DIGITS)}e}"
    kept = max(places, 0)
    return f"{round(value, kept) + 0.0:.{kept}f}"  # + 0.0: no "-0.000"
