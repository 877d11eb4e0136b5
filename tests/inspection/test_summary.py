"""The summary: every count of the verdict, and every figure of the table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nearfar.evaluation.intervals import Interval
from nearfar.inspection import Inspection
from nearfar.inspection.records import Confusion
from nearfar.inspection.summary import candidates, counted, figure, measure_rows, verdict

from .helpers import labelled_inspection


@pytest.fixture(scope="module")
def look() -> Inspection:
    return labelled_inspection()


def test_the_verdict_has_every_count(look: Inspection) -> None:
    measures = {**look.measures, "false_negative_share": 0.25, "effective_rank": 7.4, "confused_share": None}
    many = replace(
        look,
        measures=measures,
        false_negative_rows=1234,
        near_duplicate_count=17,
        threshold=0.875,
        repeated=29,
        dims=64,
    )
    assert verdict(many) == (
        "1,234 rows (25.0%) have a non-matching item ranked above their positive (possible false negatives, but only "
        "one model's opinion); 17 near-duplicate pairs (cosine >= 0.875); 29 rows repeat an earlier row; effective "
        "rank 7 of 64 dimensions."
    )
    one = verdict(replace(many, false_negative_rows=1, near_duplicate_count=1, repeated=1, schema="retrieval"))
    assert one.startswith("1 query (25.0%) has")
    assert "1 near-duplicate pair (" in one
    assert "1 document repeats an earlier document" in one
    assert "2 queries" in verdict(replace(many, false_negative_rows=2, schema="retrieval"))


def test_likely_false_negatives_are_counted_apart(look: Inspection) -> None:
    some = replace(look, false_negative_rows=1234, likely_rows=1, models=1)
    assert candidates(some) == (
        "1 likely false negative, supported by duplicates or labels; 1,233 only one model's opinion"
    )
    both = candidates(replace(some, likely_rows=1234, models=2))
    assert both == "1,234 likely false negatives, supported by duplicates, labels or both models"
    assert "opinion" not in candidates(replace(some, false_negative_rows=0, likely_rows=0))


def test_without_positives_there_is_no_count_of_false_negatives(look: Inspection) -> None:
    measures = {**look.measures, "false_negative_share": None, "confused_share": None}
    line = verdict(replace(look, measures=measures, false_negative_rows=0))
    assert line.split()[1] == "near-duplicate"


def test_labels_that_are_confused_are_named(look: Inspection) -> None:
    pair = Confusion(("up", "down"), 7, 40, ())
    found = replace(look, confusions=[pair], confused_rows=1234, measures={**look.measures, "confused_share": 0.25})
    assert verdict(found).startswith(
        "1,234 rows (25.0%) are closer to a row of another label than to any of their own, most often up and down (7 "
        "of 40 rows); "
    )
    assert "negative" not in verdict(found)


def test_measures_side_by_side(look: Inspection) -> None:
    rows = {str(row[0]): row[1:-1] for row in measure_rows(look)}
    assert "alignment" not in rows
    tolerance, separation = rows["tolerance"], rows["separation"]
    assert look.against is not None
    assert tolerance[0] == f"{look.measures['tolerance']:.3f}"
    assert tolerance[1] == f"{look.against.measures['tolerance']:.3f}"
    # A mean over items has an interval; a measure of the whole set has none.
    assert str(separation[2]).count(",") == 1
    assert "[" not in str(tolerance[2])
    assert float(str(tolerance[2]).replace("\u2212", "-")) == pytest.approx(
        (look.against.measures["tolerance"] or 0) - (look.measures["tolerance"] or 0), abs=2e-3
    )


def test_a_difference_has_its_sign_and_both_bounds(look: Inspection) -> None:
    changed = replace(look, differences={"separation": Interval(0.25, -0.5, 0.75)})
    row = next(row for row in measure_rows(changed) if row[0] == "separation")
    assert [part.strip("[],") for part in str(row[3]).split()] == ["+0.250", "\u22120.500", "+0.750"]
    assert all(len(row) == 3 for row in measure_rows(replace(look, against=None)))


def test_numbers() -> None:
    assert [counted(count, "query") for count in (0, 1, 2_000)] == ["0 queries", "1 query", "2,000 queries"]
    assert [figure(value) for value in (None, 9.8765, 10.0, 12.345)] == [None, "9.877", "10.0", "12.3"]


def test_no_difference_has_no_sign(look: Inspection) -> None:
    changed = replace(look, differences={"separation": Interval(0.0, 0.0, 0.0)})
    row = next(row for row in measure_rows(changed) if row[0] == "separation")
    assert "+" not in str(row[3])
    assert str(row[3]).count("0.000") == 3
