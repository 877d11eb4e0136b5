"""What is said of the rows that training draws, and of those that it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LeftOut", "drawn_entry", "left_out_note", "remainder", "unequal_note"]


@dataclass(frozen=True)
class LeftOut:
    """Rows that an epoch does not draw.

    Args:
        rows: How many.
        reason: Why, as the end of "12 rows: ...".
    """

    rows: int
    reason: str


def remainder(size: int) -> str:
    """Why rows at the end of an epoch are left out."""
    return f"{_REMAINDER} of {size:,} (others in each epoch)"


_REMAINDER = "they do not fill a batch"


def drawn_entry(
    rows: int,
    batches: Sequence[int],
    size: int,
    in_all: int,
    left_out: Sequence[LeftOut],
    *,
    dataset: str | None = None,
    unit: str = "rows",
) -> dict[str, Any]:
    """What `metrics.json` says of the rows of one dataset.

    Args:
        rows: There are.
        batches: Rows in each batch of the first epoch. In others their number may differ a little where texts clash.
        size: Rows that a batch should have.
        in_all: Rows that the run draws, in all epochs and by all processes.
        left_out: Rows that an epoch leaves out.
        dataset: Its name, where there are several.
        unit: What a row is: `rows`, or `blocks` of tokens.
    """
    return {
        "dataset": dataset,
        "unit": unit,
        "rows": rows,
        "rows_per_epoch": sum(batches),
        "batches_per_epoch": len(batches),
        "smaller_batches_per_epoch": sum(each < size for each in batches),
        "rows_in_all": in_all,
        "left_out": [asdict(each) for each in left_out if each.rows],
    }


def left_out_note(entry: Mapping[str, Any]) -> str | None:
    """One sentence on the rows of an entry that an epoch leaves out; None where there are none."""
    left, unit = entry["left_out"], entry["unit"]
    if not left:
        return None
    whose = f" of {entry['dataset']}" if entry["dataset"] else ""
    whole = f"{sum(each['rows'] for each in left):,} of {entry['rows']:,} {unit}{whose} are left out of each epoch: "
    if len(left) == 1:
        return whole + left[0]["reason"]
    return whole + "; ".join(f"{each['rows']:,} {unit}: {each['reason']}" for each in left)


def unequal_note(entry: Mapping[str, Any]) -> str | None:
    """The same where more is left out than the rows that do not fill a last batch."""
    usual = all(each["reason"].startswith(_REMAINDER) for each in entry["left_out"])
    return None if usual else left_out_note(entry)
