"""The report and the folder of the demo; the command is tested in tests/cli/test_demo.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.demo.questions import Answer, Question
from nearfar.demo.run import _add_answers, demo, summary
from nearfar.errors import InputError
from nearfar.reports import Page
from nearfar.search import Hit


def answer(rank: int) -> Answer:
    """An answer whose expected entry has a rank among 20."""
    hits = [Hit(i, f"f{i}", f"f{i}()\nText.", 1 - i / 100) for i in range(1, 21)]
    return Answer(Question(f"Question {rank}?", (f"f{rank}",)), hits[:3], hits[rank - 1], 20)


def test_the_summary_counts_answers_among_the_first_ten():
    assert " 2 of 4 " in summary([answer(1), answer(10), answer(11), answer(20)])


def test_the_page_shows_a_missed_entry_with_its_rank():
    page = Page("t")
    _add_answers(page, [answer(2), answer(17)])
    table = next(block.content for block in page._blocks if block.kind == "table")
    cells = [cells for cells, _ in table.body]  # type: ignore[attr-defined]
    stressed = [index for index, (_, each) in enumerate(table.body) if each]  # type: ignore[attr-defined]
    assert [row[1] for row in cells] == ["1", "2", "3", "1", "2", "3", "17"]
    assert stressed == [1, 6]
    assert [row[3] for row in cells][-1] == "f17()"


def test_a_foreign_folder_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(InputError) as caught:
            demo(tmp_path, resume=resume)
        assert (caught.value.file, caught.value.field) == (tmp_path, "--out")
    assert (tmp_path / "notes.txt").read_text() == "mine"
