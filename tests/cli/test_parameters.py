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


@pytest.mark.parametrize(
    ("command", "option", "remedy"),
    [
        ("search tiny sentences.jsonl x --depth 5", "--depth", "add --rerank MODEL, or remove --depth"),
        *(
            (f"{command} {option} 2", option, f"add --ray local|ADDRESS, or remove {option}")
            for command in (
                "encode tiny sentences.jsonl --out v.npy",
                "mine pairs.jsonl --out o.jsonl --model tiny",
                "inspect tiny --data pairs.jsonl",
                "search tiny sentences.jsonl x",
            )
            for option in ("--workers", "--gpus-per-worker")
        ),
        *(
            (f"export x.index --for parquet --out x.parquet {option} {value}", option, f"remove {option}")
            for option, value in (("--columns", "text=a"), ("--split", "test"), ("--seed", "0"))
        ),
        ("export tiny --for tei --out x --split dev", "--split", "add --data FILE, or remove --split"),
        (
            "export x.index --for pgvector --out x",
            "--for",
            "--for parquet, and load the file as docs/databases/pgvector.md",
        ),
        (
            "export x.index --for milvus --out x",
            "--for",
            "--for parquet, and load the file as docs/databases/milvus.md",
        ),
        ("export x.index --for faiss --out x", "--for", "choose from onnx, openvino, tei, vllm, static, lancedb"),
    ],
)
def test_an_option_without_effect_is_refused(command: str, option: str, remedy: str, nearfar: Nearfar, workspace: Path):
    before = sorted(workspace.iterdir())
    ended = nearfar(*command.split())
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended
    assert option in ended.err
    assert remedy in ended.err
    assert sorted(workspace.iterdir()) == before
