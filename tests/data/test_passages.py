"""Passages and the names of their documents."""

from __future__ import annotations

import pytest

from nearfar.data import write_jsonl
from nearfar.data.passages import load_passages
from nearfar.errors import InputError


def names(found) -> list[tuple[str, str]]:
    return [(row["text"], str(row["document"])) for row in found.rows]


@pytest.mark.parametrize("column", ["document", "doc_id", "document_id", "title"])
def test_a_column_names_the_documents(tmp_path, column) -> None:
    write_jsonl([{"text": "one", column: "a"}, {"text": "two", column: "a"}], tmp_path / "c.jsonl")
    found = load_passages(tmp_path / "c.jsonl")
    assert names(found) == [("one", "a"), ("two", "a")]
    assert repr(column) in found.named_by


def test_numbers_name_documents_and_columns_are_mapped(tmp_path) -> None:
    write_jsonl(
        [{"body": "one", "page": 3, "title": "x"}, {"body": "two", "page": 4, "title": "x"}], tmp_path / "c.jsonl"
    )
    found = load_passages(tmp_path / "c.jsonl", {"text": "body", "document": "page"})
    assert names(found) == [("one", "3"), ("two", "4")]
    assert repr("page") in found.named_by


def test_without_names_each_row_is_a_document(tmp_path) -> None:
    (tmp_path / "c.csv").write_text("text,other\none,a\ntwo,a\n")
    assert names(load_passages(tmp_path / "c.csv")) == [("one", "1"), ("two", "2")]


def test_in_plain_text_the_file_is_the_document(tmp_path) -> None:
    (tmp_path / "a.md").write_text("# One\nmore\n\ntwo\n")
    (tmp_path / "b.txt").write_text("three\n")
    found = load_passages(tmp_path)
    assert names(found) == [("# One\nmore", "a.md"), ("two", "a.md"), ("three", "b.txt")]
    assert names(load_passages(tmp_path / "b.txt")) == [("three", "b.txt")]


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_beir_entries_with_one_title_are_one_document(tmp_path, packed) -> None:
    entries = [
        {"_id": "1", "title": "Otter", "text": "one"},
        {"_id": "2", "title": "Otter", "text": "two"},
        {"_id": "3", "text": "three"},
        {"_id": "4", "title": "", "text": ""},
    ]
    file = tmp_path / f"corpus.jsonl{packed}"
    write_jsonl(entries, file)
    expected = [("Otter one", "Otter"), ("Otter two", "Otter"), ("three", "3")]
    assert names(load_passages(file)) == names(load_passages(tmp_path)) == expected
    with pytest.raises(InputError, match="--columns"):
        load_passages(file, {"text": "title"})


def test_a_corpus_without_ids_is_a_table(tmp_path) -> None:
    write_jsonl([{"text": "one", "document": "a"}, {"text": "two", "document": "a"}], tmp_path / "corpus.jsonl")
    assert names(load_passages(tmp_path / "corpus.jsonl")) == [("one", "a"), ("two", "a")]


def test_a_row_without_a_document_is_refused(tmp_path) -> None:
    write_jsonl([{"text": "one", "doc_id": "a"}, {"text": "two", "doc_id": None}], tmp_path / "c.jsonl")
    with pytest.raises(InputError) as error:
        load_passages(tmp_path / "c.jsonl")
    assert (error.value.line, error.value.field) == (2, "doc_id")
    write_jsonl([{"_id": "4", "text": ""}], tmp_path / "corpus.jsonl")
    with pytest.raises(InputError):
        load_passages(tmp_path / "corpus.jsonl")
