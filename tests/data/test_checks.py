"""Values that a schema does not allow."""

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

PAIR = '{"anchor": "a", "positive": "b"}\n'
MANY = PAIR * 20_000


def rows(*objects: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in objects)


CASES = {
    "field missing": ("x.jsonl", PAIR + "\n" + '{"anchor": "a"}\n', 3, "positive"),
    "field missing in line 1": ("x.jsonl", '{"anchor": "a"}\n' + PAIR, 1, "positive"),
    "field null": ("x.jsonl", MANY + '{"anchor": null, "positive": "b"}\n', 20001, "anchor"),
    "text empty": ("x.jsonl", PAIR + '{"anchor": "a", "positive": ""}\n', 2, "positive"),
    "text of white space": ("x.jsonl", rows({"text": " \u3000\t"}), 1, "text"),
    "text is a number": ("x.jsonl", PAIR + '{"anchor": 3, "positive": "b"}\n', 2, "anchor"),
    "text is a list": ("x.jsonl", rows({"anchor": ["a"], "positive": "b"}), 1, "anchor"),
    "text is a boolean": ("x.jsonl", rows({"text": True}), 1, "text"),
    "unpaired surrogate": ("x.jsonl", '{"text": "a \\ud83d"}\n', 1, "text"),
    "late extra field": ("x.jsonl", MANY + '{"anchor": "a", "positive": "b", "negative": "c"}\n', 20001, "negative"),
    "score is text": ("x.jsonl", rows({"sentence1": "a", "sentence2": "b", "score": "0.5"}), 1, "score"),
    "score is NaN": ("x.jsonl", '{"sentence1": "a", "sentence2": "b", "score": NaN}\n', 1, "score"),
    "score is a boolean": ("x.jsonl", rows({"sentence1": "a", "sentence2": "b", "score": True}), 1, "score"),
    "score is huge": ("x.jsonl", rows({"sentence1": "a", "sentence2": "b", "score": 10**400}), 1, "score"),
    "score missing": (
        "x.jsonl",
        rows({"sentence1": "a", "sentence2": "b", "score": 1}, {"sentence1": "a", "sentence2": "b"}),
        2,
        "score",
    ),
    "labels mixed": ("x.jsonl", rows({"text": "a", "label": "x"}, {"text": "b", "label": 1}), 2, "label"),
    "labels mixed, late": (
        "x.jsonl",
        rows({"text": "a", "label": 1}) * 9000 + rows({"text": "b", "label": "x"}),
        9001,
        "label",
    ),
    "label is a float": ("x.jsonl", rows({"text": "a", "label": 1.0}), 1, "label"),
    "label is a boolean": ("x.jsonl", rows({"text": "a", "label": False}), 1, "label"),
    "label null among texts": ("x.jsonl", rows({"text": "a", "label": "x"}, {"text": "b", "label": None}), 2, "label"),
    "no turns": ("x.jsonl", rows({"dialogue_id": "d", "turns": []}), 1, "turns"),
    "turns are text": ("x.jsonl", rows({"dialogue_id": "d", "turns": "hi"}), 1, "turns"),
    "turn is text": ("x.jsonl", rows({"dialogue_id": "d", "turns": ["hi"]}), 1, "turns[0]"),
    "turn without text": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": [{"speaker": "U", "text": "a"}, {"speaker": "U"}]}),
        1,
        "turns[1].text",
    ),
    "acts are numbers": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": [{"speaker": "U", "text": "a", "acts": [1]}]}),
        1,
        "turns[0].acts[0]",
    ),
    "slots are an object": (
        "x.jsonl",
        rows({"dialogue_id": "d", "turns": [{"speaker": "U", "text": "a", "slots": {"x": 1}}]}),
        1,
        "turns[0].slots",
    ),
    "no rationales": ("x.jsonl", rows({"question": "q", "answer": "a", "rationales": []}), 1, "rationales"),
    "rationales null": ("x.jsonl", rows({"question": "q", "answer": "a", "rationales": None}), 1, "rationales"),
    "csv, score with a comma": ("x.csv", 'sentence1,sentence2,score\na,b,1\na,b,"0,5"\n', 3, "score"),
    "csv, score empty": ("x.csv", "sentence1,sentence2,score\na,b,\n", 2, "score"),
    "tsv, score infinite": ("x.tsv", "sentence1\tsentence2\tscore\na\tb\t-inf\n", 2, "score"),
    "tsv, score NaN": ("x.tsv", "sentence1\tsentence2\tscore\na\tb\t1\na\tb\tNaN\n", 3, "score"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_file_line_and_field(mistake: Callable[..., InputError], case: str) -> None:
    name, content, line, field = CASES[case]
    error = mistake(name, content)
    assert (error.line, error.field) == (line, field)


# A table, the field and the row that is wrong.
TABLES: dict[str, tuple[dict[str, Any], str, int]] = {
    "null": ({"text": ["a"] * 9000 + [None]}, "text", 9001),
    "empty": ({"text": ["a", ""]}, "text", 2),
    "numbers": ({"text": [1, 2]}, "text", 1),
    "lists": ({"anchor": [["a"]], "positive": ["b"]}, "anchor", 1),
    "score infinite": ({"sentence1": ["a"], "sentence2": ["b"], "score": [float("inf")]}, "score", 1),
    "score null": ({"sentence1": ["a"], "sentence2": ["b"], "score": pa.array([None], pa.float32())}, "score", 1),
    "score text": ({"sentence1": ["a"], "sentence2": ["b"], "score": ["0.5"]}, "score", 1),
    "label null": ({"text": ["a", "b"], "label": [1, None]}, "label", 2),
    "label float": ({"text": ["a"], "label": [1.5]}, "label", 1),
    "label of 64 bits": ({"text": ["a"], "label": pa.array([2**63], pa.uint64())}, "label", 1),
    "not utf-8": (
        {"text": pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9"))},
        "text",
        1,
    ),
    "candidates too few": ({"query": ["a"], "candidates": [["b"]], "scores": [[1.0, 2.0]]}, "scores", 1),
    "scores NaN": ({"query": ["a", "b"], "candidates": [["b"]] * 2, "scores": [[1.0], [float("nan")]]}, "scores[0]", 2),
    "labels null": ({"text": ["a", "b"], "labels": [["x"], None]}, "labels", 2),
    "rationale without answer": (
        {"question": ["q"], "answer": ["a"], "rationales": [[{"text": "r", "answer": None}]]},
        "rationales[0].answer",
        1,
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_mistake_in_parquet_is_named_with_its_row(tmp_path: Path, case: str) -> None:
    table, field, row = TABLES[case]
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "x.parquet")
    assert (str(caught.value.file), caught.value.field) == (str(tmp_path / "x.parquet"), field)
    assert caught.value.problem.startswith(f"row {row}: ")


def test_whole_decimals_are_labels(tmp_path: Path) -> None:
    labels = pa.array([1, 2]).cast(pa.decimal128(20, 0))
    pq.write_table(pa.table({"text": ["a", "b"], "label": labels}), tmp_path / "x.parquet")
    assert load(tmp_path / "x.parquet")["label"][:] == [1, 2]


def test_a_list_written_as_text_is_refused_in_every_format(tmp_path: Path) -> None:
    row = {"anchor": "a", "positive": "b", "negative": '["x", "y"]'}
    (tmp_path / "x.jsonl").write_text(rows(row))
    pq.write_table(pa.table({name: [text] for name, text in row.items()}), tmp_path / "x.parquet")
    for name in ("x.jsonl", "x.parquet"):
        with pytest.raises(InputError) as caught:
            load(tmp_path / name)
        assert caught.value.field == "negative"
