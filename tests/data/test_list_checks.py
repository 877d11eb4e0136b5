"""Columns of lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import load
from nearfar.errors import InputError


def rows(*objects: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in objects)


RANKED = {"query": "q", "candidates": ["a", "b"], "scores": [1, 0.5]}
REASONS = {"question": "q", "answer": "a", "rationales": ["x", "y"]}
ANSWERED = {"question": "q", "answer": "a", "rationales": [{"text": "x", "answer": "a"}, {"text": "y", "answer": "b"}]}
LABELS = {"text": "t", "labels": ["one", "two words"]}
CASES = {
    "ranked: score missing": ("x.jsonl", rows(RANKED, {**RANKED, "scores": [1]}), 2, "scores"),
    "ranked: score too many": ("x.jsonl", rows(RANKED, {**RANKED, "scores": [1, 2, 3]}), 2, "scores"),
    "ranked: no scores": ("x.jsonl", rows(RANKED, {"query": "q", "candidates": ["a"]}), 2, "scores"),
    "ranked: score a text": ("x.jsonl", rows(RANKED, {**RANKED, "scores": [1, "2"]}), 2, "scores[1]"),
    "ranked: score a boolean": ("x.jsonl", rows({**RANKED, "scores": [True, 1]}), 1, "scores[0]"),
    "ranked: score null": ("x.jsonl", rows({**RANKED, "scores": [None, 1]}), 1, "scores[0]"),
    "ranked: score infinite": ("x.jsonl", rows({**RANKED, "scores": [1, float("inf")]}), 1, "scores[1]"),
    "ranked: scores a number": ("x.jsonl", rows({**RANKED, "scores": 1}), 1, "scores"),
    "ranked: candidate empty": ("x.jsonl", rows({**RANKED, "candidates": ["a", ""]}), 1, "candidates[1]"),
    "ranked: candidate an object": ("x.jsonl", rows({**RANKED, "candidates": ["a", {}]}), 1, "candidates[1]"),
    "ranked: candidates a text": ("x.jsonl", rows({**RANKED, "candidates": "ab"}), 1, "candidates"),
    "ranked: no candidates": ("x.jsonl", rows({**RANKED, "candidates": [], "scores": []}), 1, "candidates"),
    "ranked: query empty": ("x.jsonl", rows({**RANKED, "query": ""}), 1, "query"),
    "ranked: csv": ("x.csv", "query,candidates,scores\nq,a,1\n", None, "candidates"),
    "ranked: tsv": ("x.tsv", "query\tcandidates\tscores\nq\ta\t1\n", None, "candidates"),
    "dialogues: csv": ("x.csv", "dialogue_id,turns\nd,a\n", None, "turns"),
    "rationales: then an object": ("x.jsonl", rows(REASONS, ANSWERED), 2, "rationales[0]"),
    "rationales: then a text": ("x.jsonl", rows(ANSWERED, REASONS), 2, "rationales[0]"),
    "rationales: no answer": ("x.jsonl", rows({**REASONS, "rationales": [{"text": "x"}]}), 1, "rationales[0].answer"),
    "rationales: text empty": (
        "x.jsonl",
        rows(ANSWERED, {**REASONS, "rationales": [{"text": "", "answer": "a"}]}),
        2,
        "rationales[0].text",
    ),
    "labels: later a number": ("x.jsonl", rows(LABELS, {**LABELS, "labels": ["a", 3]}), 2, "labels[1]"),
    "labels: later a text": ("x.jsonl", rows(LABELS, {**LABELS, "labels": "a"}), 2, "labels"),
    "labels: later null": ("x.jsonl", rows(LABELS, {**LABELS, "labels": None}), 2, "labels"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_file_line_and_field(mistake: Callable[..., InputError], case: str) -> None:
    name, content, line, field = CASES[case]
    error = mistake(name, content)
    assert (error.line, error.field) == (line, field)


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("row", [RANKED, REASONS, ANSWERED, LABELS], ids=["ranked", "reasons", "answered", "labels"])
def test_lists_are_read_as_written(tmp_path: Path, row: dict[str, Any], kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row, row]), path)
    else:
        path.write_text(json.dumps([row, row]) if kind == "json" else rows(row, row))
    found = load(path)
    assert found.to_list() == [row, row]
    if "scores" in row:
        assert found.features["scores"].feature.dtype == "float64"


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_row_may_have_no_labels(tmp_path: Path, suffix: str) -> None:
    table = [{**LABELS, "labels": []}, LABELS, {**LABELS, "labels": []}]
    if suffix == "jsonl":
        (tmp_path / "x.jsonl").write_text(rows(*table))
    else:
        pq.write_table(pa.Table.from_pylist(table), tmp_path / "x.parquet")
    assert load(tmp_path / f"x.{suffix}")["labels"][:] == [[], LABELS["labels"], []]


@pytest.mark.parametrize("labels", [[1, 2], 3, "x"])
def test_labels_that_are_not_lists_of_texts_leave_a_table_of_sentences(tmp_path: Path, labels: object) -> None:
    (tmp_path / "x.jsonl").write_text(rows({"text": "t", "labels": labels}))
    assert load(tmp_path / "x.jsonl").column_names == ["text"]
