"""Documents from plain text, tables and datasets."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from nearfar.data import write_jsonl
from nearfar.data.documents import load_documents
from nearfar.errors import InputError


def test_tables_datasets_and_several_sources(tmp_path: Path) -> None:
    write_jsonl([{"text": "one", "id": 1}, {"text": "two", "id": 2}], tmp_path / "rows.jsonl")
    (tmp_path / "README.md").write_text("Notes on the rows.")
    (tmp_path / "more.csv").write_text("body\nthree\n")
    assert load_documents(tmp_path / "rows.jsonl")["text"] == ["one", "two"]
    assert load_documents(tmp_path / "more.csv", columns={"text": "body"})["text"] == ["three"]
    rows = Dataset.from_dict({"text": ["four"]})
    assert load_documents([tmp_path / "rows.jsonl", rows, tmp_path / "README.md"])["text"] == [
        *("one", "two", "four", "Notes on the rows.")
    ]
    (tmp_path / "more.csv").unlink()
    assert load_documents(tmp_path)["text"] == ["one", "two"]
    (tmp_path / "notes.txt").write_text("Which are meant?")
    with pytest.raises(InputError, match=r"notes\.txt: "):
        load_documents(tmp_path)


def test_the_task_is_kept_if_all_sources_have_it(tmp_path: Path) -> None:
    write_jsonl([{"text": "one", "task": "a"}], tmp_path / "one.jsonl")
    write_jsonl([{"text": "two", "task": "b"}], tmp_path / "two.jsonl")
    (tmp_path / "three.txt").write_text("three")
    assert load_documents([tmp_path / "one.jsonl", tmp_path / "two.jsonl"])["task"][:] == ["a", "b"]
    assert load_documents([tmp_path / "one.jsonl", tmp_path / "three.txt"]).column_names == ["text"]


def test_other_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data: "):
        load_documents([])
    with pytest.raises(InputError, match=r"none\.txt: "):
        load_documents(tmp_path / "none.txt")
    (tmp_path / "pairs.csv").write_text("anchor,positive\na,b\n")
    with pytest.raises(InputError, match="'text'"):
        load_documents(tmp_path / "pairs.csv")
