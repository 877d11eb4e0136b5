"""The figures of an export as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.evaluation.result import metric_name

if TYPE_CHECKING:
    from nearfar.serving.result import Exported

__all__ = ["rows"]


def rows(made: Exported) -> list[tuple[str, str, str]]:
    """Rows of a table: name, original, export."""
    found = [
        (f"greatest difference of {made.measure}", "", f"{made.difference:.2g} (limit {made.limit:.2g})"),
        (metric_name(made.after.primary), f"{made.before.score:.3f}", f"{made.after.score:.3f}"),
    ]
    if made.change is not None:
        low, high = f"{made.change.low:+.4f}", f"{made.change.high:+.4f}"
        found.append(("change, 95% interval", "", f"{made.change.mean:+.4f} ({low} to {high})"))
    original, export = made.texts_per_second
    found.append(("texts per second", f"{original:,.0f}", f"{export:,.0f}"))
    original, export = made.bytes
    found.append(("bytes of weights", f"{original:,}", f"{export:,}"))
    return found
