# ruff: noqa: RUF001 (dashes are what is tested)
from __future__ import annotations

import pytest

from nearfar.reports import Table
from nearfar.reports.tables import thinned


def test_numbers_that_json_has_no_word_for_are_text():
    table = Table(["x", "ok"], [[float("nan"), True], [float("-inf"), None]])
    assert table.as_dict() == {"columns": ["x", "ok"], "rows": [["nan", True], ["-inf", None]]}


def test_number_columns_are_aligned_and_others_are_not():
    table = Table(["name", "value", "ok"], [["a", 0.5, True], ["b", None, None]])
    assert table.heads == [("name", False), ("value", True), ("ok", False)]
    assert table.body == [(["a", "0.5", "yes"], False), (["b", "–", "–"], False)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([], []), "columns"),
        ((["a"], [[1], [1, 2]]), "row 1"),
        ((["a"], [[1]], "", [1]), "highlight 1"),
        ((["a"], [[1]], "", [-1]), "highlight -1"),
    ],
)
def test_invalid_tables_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        Table(*arguments)


def test_of_many_rows_an_even_part_with_both_ends_is_shown():
    rows = [[i] for i in range(1000)]
    table = thinned(["x"], rows, "All.", most=5)
    assert [row[0] for row in table.rows] == [0, 250, 500, 749, 999]
    assert table.everything == rows
    assert table.caption.startswith("All. 5 of 1,000 rows")
    assert thinned(["x"], rows[:5], most=5).everything is None
