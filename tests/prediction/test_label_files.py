from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.prediction import counted_labels, read_labels


def test_labels_are_lines_or_a_column(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("card arrival\nlost card\n")
    (tmp_path / "labels.csv").write_text("text\ncard arrival\nlost card\n")
    for name in ("labels.txt", "labels.csv"):
        assert read_labels(tmp_path / name) == ["card arrival", "lost card"]


def test_a_label_that_is_listed_twice_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("card arrival\nlost card\ncard arrival\n")
    with pytest.raises(InputError) as caught:
        read_labels(file)
    assert (str(caught.value.file), caught.value.line) == (str(file), 3)


def test_labels_are_counted_by_row(tmp_path: Path) -> None:
    lists, single = tmp_path / "lists.jsonl", tmp_path / "single.csv"
    lists.write_text('{"text": "x", "labels": ["a", "b", "a"]}\n{"text": "y", "labels": ["a"]}\n')
    assert counted_labels(lists) == {"a": 2, "b": 1}
    single.write_text("text,label\nx,a\ny,a\nz,b\n")
    assert counted_labels(single) == {"a": 2, "b": 1}
    single.write_text("text\nx\n")
    with pytest.raises(InputError):
        counted_labels(single)
