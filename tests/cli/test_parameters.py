"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfar.data.limits import MAX_TEXT, VARIABLE

from .conftest import Nearfar, jsonl

READING = [
    *("train", "compare", "evaluate", "inspect", "encode", "predict", "search", "flow", "sweep"),
    *("generate", "refine generate", "refine filter"),
]


@pytest.mark.parametrize("command", READING)
def test_every_command_that_reads_rows_has_the_limit_for_texts(nearfar: Nearfar, command: str):
    assert "--max-text" in nearfar(*command.split(), "--help").out


@pytest.mark.parametrize("before", [None, "10"])
def test_the_limit_for_texts_holds_for_one_command(
    nearfar: Nearfar, workspace: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
):
    monkeypatch.delenv(VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VARIABLE, before)
    (workspace / "long.jsonl").write_text(jsonl({"text": text} for text in ("a cat", "a " * MAX_TEXT)))
    refused = nearfar("encode", "tiny", "long.jsonl", "--out", "v.npy")
    assert refused.code == 2
    assert "long.jsonl:" in refused.err
    assert "--max-text" in refused.err
    size = str(2 * MAX_TEXT)
    assert nearfar("encode", "tiny", "long.jsonl", "--out", "v.npy", "--max-text", size).code == 0
    assert os.environ.get(VARIABLE) == before
    assert nearfar("encode", "tiny", "long.jsonl", "--out", "v.npy", "--max-text", "0").code == 2
