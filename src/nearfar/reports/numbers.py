"""Numbers as text: with a minus sign, thousands separators, and powers of ten for very large and small numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS, TIMES, DASH = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGE, SMALL = 1e7, 1e-4
"""Numbers outside this range are written as powers of ten."""


def fixed(value: float, decimals: int) -> str:
    """``value`` with ``decimals`` places: ``−1,234.50``. A number that rounds to zero has no sign."""
    text = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(digit in "123456789" for digit in text)
    return MINUS + text if negative else text


def scientific(value: float, decimals: int) -> str:
    """``value`` as a power of ten, ``2.5×10⁻⁵``, without trailing zeros; a mantissa of 1 is omitted, ``10⁻⁵``."""
    mantissa, _, exponent = f"{abs(value):.{decimals}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    sign = MINUS if value < 0 else ""
    return sign + (power if mantissa == "1" else f"{mantissa}{TIMES}{power}")


def number(value: float, significant: int = 4) -> str:
    """``value`` with ``significant`` digits and no trailing zeros; an int keeps all its digits."""
    if isinstance(value, int):
        return fixed(value, 0) if abs(value) < 10**15 else scientific(value, significant - 1)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else MINUS + "∞"
    if value == 0:
        return "0"
    if not SMALL <= abs(value) < LARGE:
        return scientific(value, significant - 1)
    text = fixed(value, decimals_for(value, significant))
    return text.rstrip("0").rstrip(".") if "." in text else text


def whole(value: float) -> float:
    """``value``, as an int if it is a whole number: 3.0 is shown as 3."""
    return int(value) if value == int(value) else value


def decimals_for(value: float, significant: int) -> int:
    """Number of decimals that show ``significant`` digits of ``value``."""
    return max(0, significant - 1 - math.floor(math.log10(abs(value)))) if value else 0


def column(values: Sequence[float | None], significant: int = 4) -> list[str]:
    """A column of numbers with the same number of decimals, so that they align; None becomes a dash.

    If the largest is more than 1,000 times the smallest, each number has its own significant digits instead.
    """
    sizes = [abs(value) for value in values if isinstance(value, float) and math.isfinite(value) and value != 0]
    mixed = not sizes or max(sizes) >= LARGE or max(sizes) < SMALL or min(sizes) < max(sizes) / 1000
    if mixed or all(value is None or isinstance(value, int) for value in values):
        return [DASH if value is None else number(value, significant) for value in values]
    most = decimals_for(max(sizes), significant)
    exact = [value for value in values if value is not None and math.isfinite(value)]
    places = next(d for d in range(most + 1) if all(round(v, d) == round(v, most) for v in exact))
    return [
        DASH if value is None else fixed(value, places) if math.isfinite(value) else number(value) for value in values
    ]
