"""Rows of a table are checked alike, whether Arrow or Python parsed them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from nearfar.data import load
from nearfar.errors import InputError

PAIR = {"anchor": "a", "positive": "b"}
SCORED = {"sentence1": "a", "sentence2": "b", "score": 0.5}
RANKED = {"query": "q", "candidates": ["a", "b"], "scores": [1, 0.5]}
REASONS = {"question": "q", "answer": "a", "rationales": ["x"]}
TURNS = {"dialogue_id": 1, "turns": [{"speaker": "U", "text": "hi", "acts": None}]}
LABELLED = {"text": "a", "label": 1}

# The rows before, and the line that is wrong.
LATE = {
    "field missing": (PAIR, '{"anchor": "a"}'),
    "field null": (PAIR, '{"anchor": "a", "positive": null}'),
    "text empty": (PAIR, '{"anchor": "a", "positive": ""}'),
    "text of white space": (PAIR, '{"anchor": "a", "positive": "\\u3000\\n"}'),
    "text is a number": (PAIR, '{"anchor": "a", "positive": 3}'),
    "two fields wrong": (PAIR, '{"anchor": "a", "positive": ""}\n{"anchor": "", "positive": "b"}'),
    "wrong value, then not JSON": (PAIR, '{"anchor": "a", "positive": ""}\noops'),
    "not closed": (PAIR, '{"anchor": "a", "positive": "b"'),
    "duplicate key": (PAIR, '{"anchor": "a", "positive": "b", "positive": "c"}'),
    "late field": (PAIR, '{"anchor": "a", "positive": "b", "negative": "c"}'),
    "blank line before": (PAIR, '\n{"anchor": "a", "positive": ""}'),
    "NUL": (PAIR, '{"anchor": "a", "positive": "b\0"}'),
    "unpaired surrogate": (PAIR, '{"anchor": "a", "positive": "\\ud800"}'),
    "score NaN": (SCORED, '{"sentence1": "a", "sentence2": "b", "score": NaN}'),
    "score huge": (SCORED, '{"sentence1": "a", "sentence2": "b", "score": 9007199254740993}'),
    "score a boolean": (SCORED, '{"sentence1": "a", "sentence2": "b", "score": true}'),
    "label a text": (LABELLED, '{"text": "a", "label": "x"}'),
    "label a float": (LABELLED, '{"text": "a", "label": 1.0}'),
    "label null": (LABELLED, '{"text": "a", "label": null}'),
    "scores too short": (RANKED, '{"query": "q", "candidates": ["a", "b"], "scores": [1]}'),
    "candidate empty": (RANKED, '{"query": "q", "candidates": ["a", ""], "scores": [1, 2]}'),
    "candidates empty": (RANKED, '{"query": "q", "candidates": [], "scores": []}'),
    "candidate null": (RANKED, '{"query": "q", "candidates": [null], "scores": [1]}'),
    "score infinite": (RANKED, '{"query": "q", "candidates": ["a"], "scores": [Infinity]}'),
    "rationale an object": (REASONS, '{"question": "q", "answer": "a", "rationales": [{"text": "a", "answer": "b"}]}'),
    "rationale empty": (REASONS, '{"question": "q", "answer": "a", "rationales": [" "]}'),
    "turn without text": (TURNS, '{"dialogue_id": 1, "turns": [{"speaker": "U"}]}'),
    "turn null": (TURNS, '{"dialogue_id": 1, "turns": [null]}'),
    "task missing": ({**PAIR, "task": "t"}, json.dumps(PAIR)),
}
# A block is checked column by column.
ELSEWHERE = {"blank line before": 22, "two fields wrong": 22}


def mistake(path: Path, **options: Any) -> tuple[int | None, str | None, str, str | None]:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    error = caught.value
    assert str(error.file) == str(path)
    return error.line, error.field, error.problem, error.remedy


@pytest.mark.parametrize("case", LATE)
def test_a_late_mistake_is_the_same_whoever_parses(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.data.files.HEAD", 2)
    monkeypatch.setattr("nearfar.data.files.CHUNK", 300)
    row, line = LATE[case]
    path = tmp_path / "x.jsonl"
    path.write_text((json.dumps(row) + "\n") * 20 + line + "\n" + json.dumps(row) + "\n")
    fast = mistake(path)
    monkeypatch.setattr("nearfar.data._json_arrow.parse", lambda data, types: None)
    assert mistake(path) == fast
    assert fast[0] == ELSEWHERE.get(case, 21)


@pytest.mark.parametrize("row", [PAIR, SCORED, RANKED, REASONS, TURNS, LABELLED], ids=lambda row: next(iter(row)))
def test_rows_are_the_same_whoever_parses(tmp_path: Path, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.data.files.HEAD", 2)
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({**row, "id": number, "meta": {"n": [number]}}) + "\n" for number in range(20)))
    fast = load(path)
    monkeypatch.setattr("nearfar.data._json_arrow.parse", lambda data, types: None)
    slow = load(path)
    assert fast.features == slow.features
    assert repr(fast.to_list()) == repr(slow.to_list())


def test_a_field_that_begins_late_and_is_not_used_is_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.data.files.HEAD", 2)
    monkeypatch.setattr("nearfar.data.files.CHUNK", 300)
    rows: list[dict[str, Any]] = [{"text": f"t{number}"} for number in range(20)]
    rows += [{"text": f"t{number}", "note": number} for number in range(20, 40)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load(tmp_path / "x.jsonl")["text"][:] == [row["text"] for row in rows]


def test_a_limit_hides_mistakes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.data.files.HEAD", 2)
    path = tmp_path / "x.jsonl"
    path.write_text((json.dumps(PAIR) + "\n") * 20 + '{"anchor": "a", "positive": ""}\n')
    assert len(load(path, limit=20)) == 20
    assert mistake(path, limit=21)[:2] == (21, "positive")


def test_turns_without_a_text_are_skipped_whoever_parses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nearfar.data.files.HEAD", 2)
    path = tmp_path / "x.jsonl"
    broken = {"dialogue_id": 2, "turns": [{"speaker": "U", "text": ""}, {"speaker": "U", "text": "b"}]}
    path.write_text((json.dumps(TURNS) + "\n") * 5 + json.dumps(broken) + "\n")
    with caplog.at_level(logging.WARNING, "nearfar"):
        rows = load(path, skip_broken=True)
    assert [len(turns) for turns in rows["turns"]] == [1] * 6
    assert "1 turn without a text: line 6" in caplog.text


def test_lists_are_refused_in_csv_unless_the_table_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("query,candidates,scores\nq,a,1\n")
    line, field, _, remedy = mistake(tmp_path / "x.csv")
    assert (line, field) == (None, "candidates")
    assert ".jsonl" in str(remedy)
    (tmp_path / "y.csv").write_text("text,labels\na,b\n")
    assert load(tmp_path / "y.csv").column_names == ["text"]
    assert mistake(tmp_path / "y.csv", schema="label texts")[:2] == (None, "labels")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.jsonl").write_text('{"text": "a", "labels": ["b"]}\n')
    (tmp_path / "folder" / "b.csv").write_text("text,labels\na,b\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "folder")
    assert str(caught.value.file).endswith("b.csv")
