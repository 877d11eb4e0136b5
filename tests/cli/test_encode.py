"""`nearfar encode`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from .conftest import Nearfar


def test_encode(workspace: Path, nearfar: Nearfar, tiny_model):
    texts = [json.loads(line)["text"] for line in (workspace / "sentences.jsonl").read_text().splitlines()]
    right = tiny_model.encode(texts, normalize_embeddings=True)
    ended = nearfar(*shlex.split("encode tiny sentences.jsonl --out new/v.npy --json"))
    assert ended.json == {"out": "new/v.npy", "texts": len(texts), "dimension": 32, "as": None, "prompt": ""}
    np.testing.assert_allclose(np.load(workspace / "new" / "v.npy"), right, atol=1e-6)
    ended = nearfar(*shlex.split("encode tiny sentences.jsonl --out v.parquet --no-normalize --batch-size 5"))
    assert (ended.code, ended.out) == (0, f"{len(texts)} vectors of 32 dimensions in v.parquet\n")
    table = pq.read_table(workspace / "v.parquet").to_pydict()
    assert table["text"] == texts
    np.testing.assert_allclose(table["vector"], tiny_model.encode(texts), atol=1e-5)
    assert not list(workspace.rglob(".*"))


def test_what_cannot_be_written_or_read_is_refused_before_a_model_is_loaded(workspace: Path, nearfar: Nearfar):
    for arguments, named in (
        ("sentences.jsonl --out v.csv", "v.csv: "),
        ("nowhere.jsonl --out v.npy", "nowhere.jsonl: "),
        ("sentences.jsonl --out v.npy --kind image", "image"),
        ("sentences.jsonl --out v.npy --columns text=body", "text"),
    ):
        ended = nearfar("encode", "no-such-model", *shlex.split(arguments))
        assert (ended.code, ended.out) == (2, "")
        assert named in ended.err
        assert ended.err.count("\n") == 1
    assert not list(workspace.glob("v.*"))
