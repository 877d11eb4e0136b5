"""The page of a language model's isotropy: how far its token states point in different directions, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page

if TYPE_CHECKING:
    from nearfar.decoding.layers import LayerIsotropy

#: Between the two anisotropic models of Su & Collier (0.10 and 0.25) and their others (0.53 and more).
ENOUGH = 0.4


def isotropy_page(found: Sequence[LayerIsotropy], name: str, facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The report of `nearfar.decoding.isotropy`.

    Args:
        found: What that returned.
        name: The model's name.
        facts: What stands at the head of the page, such as the texts.

    Raises:
        ValueError: there is no layer.
    """
    if not found:
        raise ValueError("a report on no layer")
    page = Page("Isotropy of token states", name, facts)
    last = found[-1].isotropy
    enough = "contrastive search can tell candidates apart" if last >= ENOUGH else "states are much alike"
    remedy = "" if last >= ENOUGH else ": lower penalty_alpha, or train with the recipe contrastive_search"
    page.verdict(f"Last layer {last:.2f}: {enough}{remedy}.", "good" if last >= ENOUGH else "neutral")
    page.section(
        "By layer",
        "1 minus the mean cosine of two tokens of one text. Contrastive search reads the last layer alone.",
    )
    lines = {
        "all tokens": [(float(each.layer), each.isotropy) for each in found],
        "without the first": [(float(each.layer), each.without_first) for each in found],
    }
    page.figure(line_chart(lines, title="Isotropy", x_label="layer (0: embeddings)", y_label="isotropy"))
    page.table(["layer", "all tokens", "without the first"], [list(each) for each in found])
    return page
