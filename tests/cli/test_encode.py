"""`nearfar encode`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

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


def test_shards_are_joined(workspace: Path, nearfar: Nearfar):
    encode = "encode tiny sentences.jsonl --batch-size 1 --as document"
    assert nearfar(*shlex.split(f"{encode} --out whole.parquet")).code == 0
    ended = nearfar(*shlex.split(f"{encode} --out v.parquet --shard 2/2 --json"))
    assert ended.json == {
        "out": "v.00002-of-00002.parquet",
        "texts": 24,
        "dimension": 32,
        "as": "document",
        "prompt": "",
        "shard": "2/2",
        "rows": [33, 56],
        "total": 56,
        "encoded": True,
    }
    again = nearfar(*shlex.split(f"{encode} --out v.parquet --shard 2/2 --json"))
    assert again.json == {**ended.json, "encoded": False}
    missing = nearfar(*shlex.split(f"{encode} --out v.parquet --join 2"))
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    assert "--shard 1/2" in missing.err
    assert "rows 1 to 32 of 56" in nearfar(*shlex.split(f"{encode} --out v.parquet --shard 1/2 --stream")).out
    joined = nearfar(*shlex.split(f"{encode} --out v.parquet --join 2 --json"))
    assert joined.json == {"out": "v.parquet", "texts": 56, "dimension": 32, "as": "document", "prompt": ""}
    assert pq.read_table("v.parquet").column("text").to_pylist() == pq.read_table("whole.parquet")["text"].to_pylist()
    for wrong in ("--shard 3/2", "--shard 1/2 --join 2", "--ray local --stream", "--shard 1/9"):
        ended = nearfar(*shlex.split(f"{encode} --out w.npy {wrong}"))
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), wrong
    assert not list(workspace.rglob(".*"))


@pytest.mark.slow
def test_ray_of_this_machine(workspace: Path, nearfar: Nearfar):
    pytest.importorskip("ray")
    assert nearfar(*shlex.split("encode actions sentences.jsonl --out v.npy")).code == 0
    ended = nearfar(*shlex.split("encode actions sentences.jsonl --out w.npy --ray local --workers 1 --json"))
    assert ended.json == {"out": "w.npy", "texts": 56, "dimension": 256, "as": None, "prompt": ""}
    assert (workspace / "v.npy").read_bytes() == (workspace / "w.npy").read_bytes()
    unreachable = nearfar(*shlex.split("encode actions sentences.jsonl --out x.npy --ray no-such-host:1"))
    assert (unreachable.code, unreachable.err.count("\n")) == (2, 1)


def test_an_index_is_built_from_vectors(workspace: Path, nearfar: Nearfar):
    assert nearfar(*shlex.split("encode tiny sentences.jsonl --as document --out v.npy")).code == 0
    given = nearfar(*shlex.split("search tiny sentences.jsonl 'the cat' --vectors v.npy --index given --json"))
    encoded = nearfar(*shlex.split("search tiny sentences.jsonl 'the cat' --index encoded --json"))
    assert given.json["hits"] == encoded.json["hits"]
