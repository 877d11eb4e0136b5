"""Figures of P and F as small grids, made with the same objects that the engines use."""

from __future__ import annotations

from html import escape

import torch

from nearfar import far, near

N = 6
CELL, GAP = 15, 1
TEMPERATURE = 0.5

# Names for the expressions on the pages: six anchors in three classes, and reference vectors that match them.
LABELS = torch.tensor([0, 0, 0, 1, 1, 2])
_ANGLES = torch.tensor([0.0, 0.35, 0.8, 1.9, 2.3, 3.6])
VECTORS = torch.stack([_ANGLES.cos(), _ANGLES.sin()], 1)
MATRIX = torch.eye(N) + 0.4 * torch.eye(N).roll(1, 1)
SETS = torch.tensor([[1, 2], [1, 2], [1, -1], [3, 4], [4, -1], [5, -1]])[:, None]
MASK = torch.ones(N, N, dtype=torch.bool).tril(-4)
COUNTS = 1 + 2.0 * (torch.arange(N) % 3 == 2).expand(N, N)
NAMES = {"near": near, "far": far, "y": LABELS, "v": VECTORS, "sets": SETS, "p": MATRIX, "mask": MASK, "w": COUNTS}


def picture(side: str, expression: str) -> str:
    """An SVG of P (`side` is `near`) or F (`far`) for the builder that `expression` makes."""
    made = eval(expression, dict(NAMES))
    values = _near(made) if side == "near" else _far(made)
    cells = [
        _cell(row, column, value.item(), side) for row, line in enumerate(values) for column, value in enumerate(line)
    ]
    size = N * (CELL + GAP)
    what = "P, one row an anchor, one column a candidate" if side == "near" else "F, one row an anchor"
    return (
        f'<svg class="matrix" width="{size}" height="{size}" viewBox="0 0 {size} {size}" role="img" '
        f'aria-label="{escape(f"{expression}: {what}")}">{"".join(cells)}</svg>'
    )


def _near(made: near.Near) -> torch.Tensor:
    return made.bind(N, N, VECTORS).at(slice(0, N)).to_dense()


def _far(made: far.Far) -> torch.Tensor:
    # `harder` and `hardest` need similarities: the anchors are the candidates' vectors, slightly rotated.
    turned = torch.stack([(_ANGLES + 0.2).cos(), (_ANGLES + 0.2).sin()], 1)
    block = turned @ VECTORS.T / TEMPERATURE
    after = block.clone()
    made.bind(N, N, VECTORS).add_to(after, slice(0, N), near.paired().bind(N, N, VECTORS).at(slice(0, N)), TEMPERATURE)
    return torch.where(after == -torch.inf, after, after - block)


def _cell(row: int, column: int, value: float, side: str) -> str:
    x, y = column * (CELL + GAP), row * (CELL + GAP)
    box = f'x="{x}" y="{y}" width="{CELL}" height="{CELL}"'
    title = f"<title>{'P' if side == 'near' else 'F'}[{row}, {column}] = {value:.2f}</title>"
    if value == -torch.inf:
        cross = f'<path class="out" d="M{x + 4} {y + 4}l{CELL - 8} {CELL - 8}m0 {8 - CELL}l{8 - CELL} {CELL - 8}"/>'
        return f'<g><rect class="empty" {box}/>{cross}{title}</g>'
    strength = min(1.0, abs(value))
    colour = "pull" if side == "near" else ("more" if value > 0 else "less")
    fill = f'<rect class="{colour}" {box} fill-opacity="{strength:.2f}"/>' if strength > 0.005 else ""
    return f'<g><rect class="empty" {box}/>{fill}{title}</g>'
