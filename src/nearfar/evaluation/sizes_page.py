"""The page of one encoder at several depths and widths."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from nearfar.evaluation.result import metric_name
from nearfar.reports.charts.heatmap import heatmap
from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page

if TYPE_CHECKING:
    from nearfar.evaluation.sizes import Sizes


def layer_names(sizes: Sizes) -> list[str]:
    """Names of the depths in tables and figures."""
    return ["all layers" if n is None else f"{n} layers" if n > 1 else "1 layer" for n in sizes.layers]


def sizes_page(sizes: Sizes, facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The metric by layers and dimensions as a heatmap, as lines over the depth, and the cost of each depth.

    Args:
        sizes: The result of `evaluate_sizes`.
        facts: Names and values: model, data, seed.
    """
    metric, scores, names = metric_name(sizes.primary), sizes.scores, layer_names(sizes)
    page = Page("Quality by size", f"{metric} of the encoder with fewer layers and dimensions", facts)
    finite = {(i, j): s for i, row in enumerate(scores) for j, s in enumerate(row) if isfinite(s)}
    if not finite:
        page.verdict("No size has a defined score.", "bad")
        return page
    (i, j), best = max(finite.items(), key=lambda item: item[1])
    (k, m), smallest = min(finite.items())
    page.verdict(
        f"Best: {best:.3f} at {names[i]}, {sizes.dims[j]} dimensions. "
        f"The smallest size, {names[k]} and {sizes.dims[m]} dimensions: {smallest:.3f}."
    )
    if len(finite) == len(names) * len(sizes.dims):
        page.figure(
            heatmap(
                names,
                [str(d) for d in sizes.dims],
                scores,
                title=f"{metric} at each size",
                caption="Rows: number of layers. Columns: number of dimensions that are kept.",
            )
        )
    depths = [n for n in sizes.layers if n is not None]
    if len(depths) > 1:
        shown = sizes.dims if len(sizes.dims) < 5 else (sizes.dims[0], sizes.dims[len(sizes.dims) // 2], sizes.dims[-1])
        lines = {f"{d} dimensions": [(n, s) for n in depths if isfinite(s := sizes.results[n, d].score)] for d in shown}
        page.figure(
            line_chart(
                {name: points for name, points in lines.items() if points},
                title=f"{metric} against depth",
                x_label="layers",
                y_label=metric,
            )
        )
    page.section("Cost by depth", "Seconds to encode every text once, without the layers above.")
    page.table(["depth", "seconds"], [[name, sizes.seconds[n]] for name, n in zip(names, sizes.layers, strict=True)])
    for note in sizes.notes:
        page.text(note)
    page.data("sizes", sizes.as_dict())
    return page
