"""Texts and lines that are too long, and what is still read of a file that breaks off."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import load, load_corpus
from nearfar.data.documents import load_documents
from nearfar.data.limits import MAX_TEXT
from nearfar.errors import InputError

LONG = "x" * (MAX_TEXT + 1)
CASES = {
    "x.jsonl": json.dumps({"text": "a"}) + "\n" + json.dumps({"text": LONG}) + "\n",
    "x.json": json.dumps([{"text": "a"}, {"text": LONG}], indent=0),
    "x.tsv": f"text\tlabel\n{LONG}\ta\n",
    "x.txt": f"a\n{LONG}\n",
    "wide.jsonl": '{"text": "a"}\n{"text": "' + "é" * (MAX_TEXT // 2 + 1) + '"}\n',
    "dialogue.jsonl": '{"dialogue_id": 1, "turns": [{"speaker": "a", "text": "b"}]}\n'
    + json.dumps({"dialogue_id": 2, "turns": [{"speaker": "a", "text": LONG}]}),
    "lists.jsonl": '{"text": "a", "labels": ["b"]}\n' + json.dumps({"text": "a", "labels": ["b", LONG]}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_long_text_is_refused_with_its_line(
    mistake: Callable[..., InputError], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = mistake(name, CASES[name])
    assert error.line is not None
    assert error.line >= 2
    assert f"more than the limit of {MAX_TEXT:,}" in error.problem
    assert "NEARFAR_MAX_TEXT=" in str(error.remedy)
    monkeypatch.setenv("NEARFAR_MAX_TEXT", str(2 * MAX_TEXT))
    assert len(load(tmp_path / name)) >= 1


def test_long_texts_of_parquet_and_of_a_corpus(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b", LONG]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"x\.parquet: text: row 3: .*1,048,577 .*1,048,576"):
        load(tmp_path / "x.parquet")
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "a"}\n' + json.dumps({"_id": "2", "text": LONG}))
    with pytest.raises(InputError, match=r"corpus\.jsonl:2: text: .*1,048,577 .*1,048,576"):
        load_corpus(tmp_path / "corpus.jsonl")


@pytest.mark.parametrize("value", ["0", "many", "-1", "1e6"])
def test_an_invalid_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    monkeypatch.setenv("NEARFAR_MAX_TEXT", value)
    (tmp_path / "x.txt").write_text("a\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "x.txt")
    assert caught.value.field == "NEARFAR_MAX_TEXT"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".json", ".txt"])
def test_a_line_that_unpacks_to_very_much_needs_little_memory(tmp_path: Path, suffix: str) -> None:
    size, megabyte = 400, b"x" * (1 << 20)
    start = {".jsonl": b'{"text": "a"}\n{"text": "', ".json": b'[{"text": "a"},\n{"text": "'}.get(suffix, b"text\na\n")
    file = tmp_path / f"x{suffix}.gz"
    with gzip.open(file, "wb", compresslevel=1) as packed:
        packed.write(start)
        for _ in range(size):
            packed.write(megabyte)
    code = (
        "import resource, sys\n"
        "from nearfar.data import load\n"
        "import datasets, pyarrow.json, pyarrow.csv\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    load(sys.argv[1])\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    message, used = ended.stdout.strip().split("\n")
    assert f"x{suffix}.gz:" in message
    assert "more than" in message
    assert int(used) < size * 0.8  # megabytes


BROKEN = {
    ".jsonl": ("", '{{"text": "row {} {}"}}\n'),
    ".csv": ("text\n", "row {} {}\n"),
    ".tsv": ("text\n", "row {} {}\n"),
    ".txt": ("", "row {} {}\n"),
}


@pytest.mark.parametrize("suffix", BROKEN)
@pytest.mark.parametrize("rows", [100, 9_500, 60_000])
def test_rows_before_the_break_of_a_gzip_file_are_read_up_to_the_limit(tmp_path: Path, suffix: str, rows: int) -> None:
    draw = random.Random(0)
    head, row = BROKEN[suffix]
    content = gzip.compress((head + "".join(row.format(i, draw.random()) for i in range(rows * 2))).encode())
    file = tmp_path / f"x{suffix}.gz"
    file.write_bytes(content[: int(len(content) * 0.75)])
    assert load(file, limit=rows)[rows - 1]["text"].startswith(f"row {rows - 1} ")
    with pytest.raises(InputError, match="truncated"):
        load(file)


NUL = {
    "x.csv": ("anchor,positive\n" + "a,b\n" * 3000 + "c\0,d\n", 3002),
    "x.tsv": ("anchor\tpositive\n" + "a\tb\n" * 3000 + "c\0\td\n", 3002),
    "later.tsv": ("anchor\tpositive\n" + "a\tb\n" * 9000 + "c\0\td\n", 9002),
    "quoted.csv": ('anchor,positive\n"a\nb",c\n' + "a,b\n" * 3000 + '"c\n\0",d\n', 3005),
    "x.jsonl": ('{"text": "a"}\n' * 3000 + '{"text": "a\0"}\n', 3001),
    "x.txt": ("text\n" * 3000 + "a\0\n", 3001),
    "x.json": ('[\n{"text": "a"},\n' + '{"text": "a"},\n' * 3000 + '{"text": "a\0"}]', 3003),
    "early.csv": ("anchor,positive\n" + "a,b\n" * 10 + "c\0,d\n", 12),
    "early.tsv": ("anchor\tpositive\n" + "a\tb\n" * 10 + "c\0\td\n", 12),
    "early.jsonl": ('{"text": "a"}\n' * 10 + '{"text": "a\0"}\n', 11),
}


@pytest.mark.parametrize("name", NUL)
@pytest.mark.parametrize("packed", [False, True])
def test_a_nul_byte_anywhere_is_refused_with_its_line(
    mistake: Callable[..., InputError], name: str, packed: bool
) -> None:
    content, line = NUL[name]
    error = mistake(f"{name}.gz", gzip.compress(content.encode())) if packed else mistake(name, content)
    assert error.line == line
    assert "NUL" in error.problem


def test_a_nul_byte_in_documents(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("text\n" * 3000 + "a\0\n")
    with pytest.raises(InputError, match=r"x\.txt:3001: .*NUL"):
        load_documents(tmp_path / "x.txt")
    assert os.listdir(tmp_path) == ["x.txt"]
