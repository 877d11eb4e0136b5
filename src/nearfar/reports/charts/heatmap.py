"""A matrix as shaded cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._svg import Look, canvas, element, group
from nearfar.reports.figure import WIDE, Drawing, Figure, area_swatch, compose
from nearfar.reports.numbers import column, number
from nearfar.reports.tables import thinned
from nearfar.reports.text import plain, shorten, text_width

_SIZE = 12
"""Size of labels and numbers in pixels; the style sheet sets the same."""


def heatmap(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Iterable[float]],
    *,
    title: str,
    caption: str = "",
) -> Figure:
    """A cell for each row and column: its strength is the distance from zero, its colour the sign.

    Args:
        rows: Names of the rows.
        columns: Names of the columns.
        values: The matrix, (rows, columns).
        title: What the figure shows.
        caption: How to read the figure.

    Raises:
        ValueError: There are no rows or columns, the matrix has another shape, or a number is not finite.
    """
    where = f"heatmap {title!r}"
    _check.some(rows, f"{where}: rows")
    _check.some(columns, f"{where}: columns")
    _check.same_length(values, len(rows), where)
    matrix = [_check.finite(row, f"{where}: row {name!r}") for name, row in zip(rows, values, strict=True)]
    for name, row in zip(rows, matrix, strict=True):
        _check.same_length(row, len(columns), f"{where}: row {name!r}")
    flat = [value for row in matrix for value in row]
    texts = column(flat, 3)
    largest = max(map(abs, flat)) or 1.0
    alt = f"Heatmap: {plain(title)}. {len(rows)} rows, {len(columns)} columns, from {min(flat):.4g} to {max(flat):.4g}."

    def draw(width: int) -> Drawing:
        left = min(max(text_width(plain(name), _SIZE) for name in rows) + 10, 0.3 * width)
        side = (width - left) / len(columns)
        tall = min(max(side, 26.0), 40.0) if width >= WIDE else 28.0
        head = _heads(columns, left, side)
        numbered = max(text_width(text, _SIZE) for text in texts) + 4 <= side
        cells = []
        for i, row in enumerate(matrix):
            y = 26 + i * tall
            cells.append(element("text", shorten(plain(rows[i]), left - 8, _SIZE), x=0, y=y + tall / 2 + 4))
            for j, value in enumerate(row):
                text = texts[i * len(columns) + j]
                tip = f"{plain(rows[i])}, {plain(columns[j])}\n{text}"
                box = (left + j * side, y, side, tall)
                cells.append(_cell(box, value / largest, text if numbered else "", tip))
        # Numbers in the cells say more than the legend's shades.
        return Drawing(canvas(width, 26 + tall * len(rows) + 4, [head, *cells], alt=alt), named=numbered)

    table = thinned(["row", *columns], [[name, *row] for name, row in zip(rows, matrix, strict=True)])
    legend = []
    if max(flat) > 0 or min(flat) == 0:
        legend.append((area_swatch(Look(0), "cell", "1"), number(largest, 3)))
    legend.append((area_swatch(Look(0), "cell", _opacity(0.0)), "0"))
    if min(flat) < 0:
        legend.append((area_swatch(Look(1), "cell", "1"), number(-largest, 3)))
    return compose(draw, title=title, table=table, caption=caption, legend=legend)


def _heads(columns: Sequence[str], left: float, side: float) -> Markup:
    """Column names above their columns; if they do not fit, every k-th name gets the room of k columns."""
    widest = max(text_width(plain(name), _SIZE) for name in columns)
    every = max(1, -(-int(min(widest, 56.0) + 8) // int(max(side, 1.0))))
    return group(
        element(
            "text",
            shorten(plain(name), side * every - 6, _SIZE),
            x=left + side * j + (side / 2 if every == 1 else 2),
            y=18,
            text_anchor="middle" if every == 1 else None,
        )
        for j, name in enumerate(columns)
        if j % every == 0 and (j + every <= len(columns) or every == 1)
    )


def _cell(box: tuple[float, float, float, float], strength: float, text: str, tip: str) -> Markup:
    x, y, width, height = box
    opacity = _opacity(strength)
    tile = element(
        "rect", x=x + 0.5, y=y + 0.5, width=width - 1, height=height - 1, class_="cell", fill_opacity=opacity
    )
    parts = [tile]
    if text:
        parts.append(element("text", text, x=x + width / 2, y=y + height / 2 + 4, text_anchor="middle"))
    return group(parts, class_=Look(0 if strength >= 0 else 1).css, data_tip=tip)


def _opacity(strength: float) -> str:
    return f"{0.06 + 0.94 * abs(strength):.3f}"
