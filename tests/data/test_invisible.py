"""Texts that contain nothing a reader sees, and no token: refused as empty ones are, with their line."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import load
from nearfar.data.blanks import INVISIBLE as PATTERN
from nearfar.data.blanks import is_blank
from nearfar.errors import InputError
from nearfar.search import check_query

INVISIBLE = ["\u200b\u200d", "\x00", "\ufeff", "\u2060 \u00ad", "\u202e\u2066", "\x1b\x07", "\u0301", "\u2028\u3000"]
VISIBLE = [
    "a\u200b",
    "\ufeffa",
    ".",
    "\u0646\u200c\u062e",
    "\U0001f468\u200d\U0001f469",
    "e\u0301",
    "\u00a9\ufe0f",
    "\n-\n",
]


def write(rows: list[dict], folder: Path, kind: str) -> Path:
    file = folder / f"rows.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("text", INVISIBLE)
def test_an_invisible_text_is_refused(text: str, kind: str, tmp_path: Path):
    with pytest.raises(
        InputError, match=r"text: .*contains only (invisible characters|white space); fill it"
    ) as caught:
        load(write([{"text": "a cat"}, {"text": text}], tmp_path, kind))
    assert caught.value.line == 2 or "row 2" in str(caught.value)
    with pytest.raises(InputError, match="is empty"):
        check_query(text, 1)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_visible_texts_are_read_as_they_are(kind: str, tmp_path: Path):
    assert load(write([{"text": text} for text in VISIBLE], tmp_path, kind))["text"][:] == VISIBLE


def test_lists_and_turns(tmp_path: Path):
    lists = {"query": "a", "candidates": ["b", "\u200b"], "scores": [1.0, 0.0]}
    for kind in ("jsonl", "parquet"):
        with pytest.raises(InputError, match=r"candidates\[1\]: .*contains only invisible"):
            load(write([lists], tmp_path, kind))
    turns = {"dialogue_id": "1", "turns": [{"speaker": "a", "text": "hi"}, {"speaker": "b", "text": "\ufeff"}]}
    with pytest.raises(InputError, match="invisible"):
        load(write([turns], tmp_path, "jsonl"))
    assert len(load(write([turns], tmp_path, "jsonl"), skip_broken=True)[0]["turns"]) == 1


def test_both_ways_of_checking_agree():
    pc: Any = import_module("pyarrow.compute")

    texts = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    found = pc.match_substring_regex(pa.array(texts), PATTERN).to_pylist()
    # The two tables of characters may be of different releases of Unicode, which add a few marks.
    assert sum(one != is_blank(text) for one, text in zip(found, texts, strict=True)) < 100
