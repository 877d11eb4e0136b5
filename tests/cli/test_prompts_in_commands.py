"""A model's prompts in every command: queries and documents get theirs, and the output says which."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from sentence_transformers import SentenceTransformer

from .conftest import Nearfar

PROMPTS = {"query": "the song ", "document": "a bank "}


@pytest.fixture
def model(workspace: Path, prompted_folder: Path) -> SentenceTransformer:
    """The model in the folder `prompted`, as sentence-transformers loads it."""
    shutil.copytree(prompted_folder, workspace / "prompted")
    return SentenceTransformer(str(workspace / "prompted"), device="cpu")


def test_encode(workspace: Path, nearfar: Nearfar, model: SentenceTransformer):
    texts = [json.loads(line)["text"] for line in (workspace / "sentences.jsonl").read_text().splitlines()]
    asked = "encode prompted sentences.jsonl --out v.npy"
    for options, right, prompt in (
        ("--as query", model.encode_query(texts, normalize_embeddings=True), "the song "),
        ("--as document", model.encode_document(texts, normalize_embeddings=True), "a bank "),
        ("--as document --prompt ''", model.encode(texts, normalize_embeddings=True), ""),
        ("--prompt 'the sea '", model.encode(texts, prompt="the sea ", normalize_embeddings=True), "the sea "),
        ("", model.encode(texts, normalize_embeddings=True), ""),
    ):
        assert nearfar(*shlex.split(f"{asked} {options} --json")).json["prompt"] == prompt
        np.testing.assert_allclose(np.load(workspace / "v.npy"), right, atol=1e-5)
    assert "'the song '" in nearfar(*shlex.split(f"{asked} --as query")).out
    assert "none" in nearfar(*shlex.split("encode tiny sentences.jsonl --out w.parquet --as query")).out
    assert json.loads(pq.read_schema(workspace / "w.parquet").metadata[b"nearfar"])["prompt"] == ""


def test_an_index_of_other_prompts_is_not_searched(workspace: Path, nearfar: Nearfar, model: SentenceTransformer):
    asked = shlex.split("search prompted sentences.jsonl cat --json")
    first = nearfar(*asked)
    assert first.json["prompts"] == PROMPTS
    text = first.json["hits"][0]["text"]
    right = (model.encode_query("cat", normalize_embeddings=True) * model.encode_document(text)).sum()
    right /= np.linalg.norm(model.encode_document(text))
    assert first.json["hits"][0]["score"] == pytest.approx(right, abs=1e-5)
    assert yaml.safe_load((workspace / "sentences.jsonl.index" / "index.yaml").read_text())["prompts"] == PROMPTS
    settings = workspace / "prompted" / "config_sentence_transformers.json"
    settings.write_text(settings.read_text().replace("the song", "the rain"))
    again = nearfar(*asked)
    assert "other prompts" in again.err
    assert again.json["prompts"] == {**PROMPTS, "query": "the rain "}


def test_mine_and_inspect(workspace: Path, nearfar: Nearfar, model: SentenceTransformer):
    asked = "mine pairs.jsonl --model prompted --out mined.jsonl --num-negatives 1"
    assert nearfar(*shlex.split(f"{asked} --json")).json["prompts"] == PROMPTS
    found = nearfar(*shlex.split("inspect prompted --data pairs.jsonl --layers none --out inspected --json")).json
    assert found["prompts"] == {"anchor": "the song ", "positive": "a bank "}
    rows = [json.loads(line) for line in (workspace / "pairs.jsonl").read_text().splitlines()]
    a = model.encode_query([row["anchor"] for row in rows], normalize_embeddings=True)
    b = model.encode_document([row["positive"] for row in rows], normalize_embeddings=True)
    assert found["similarities"]["positive pairs"]["mean"] == pytest.approx((a * b).sum(1).mean(), abs=1e-4)
    assert "the song" in (workspace / "inspected" / "report.html").read_text()
    symmetric = nearfar(*shlex.split("inspect prompted --data sts.jsonl --layers none --out symmetric --json")).json
    assert "prompts" not in symmetric


def test_evaluate_with_and_without(nearfar: Nearfar, model: SentenceTransformer):
    asked = "evaluate prompted --data heldout.jsonl"
    both = nearfar(*shlex.split(f"{asked} --prompts both --json")).json
    on, off = (nearfar(*shlex.split(f"{asked} --prompts {each} --json")).json for each in ("on", "off"))
    assert (both["metrics"], both["without_prompts"]["metrics"]) == (on["metrics"], off["metrics"])
    assert (on["prompts"], "prompts" in off) == (PROMPTS, False)
    assert off["metrics"] == pytest.approx(
        nearfar(*shlex.split("evaluate tiny --data heldout.jsonl --json")).json["metrics"]
    )
    shown = nearfar(*shlex.split(f"{asked} --prompts both")).out
    assert "with prompts" in shown
    assert "the song" in shown
    for wrong in ("evaluate tiny --data heldout.jsonl --prompts off", f"{asked} --prompts both --dims 16"):
        ended = nearfar(*shlex.split(wrong))
        assert ended.code == 2
        assert ended.err.startswith("nearfar: --prompts: ")


def test_a_saved_dataset_and_a_stream_as_a_corpus(workspace: Path, nearfar: Nearfar):
    from datasets import load_dataset

    load_dataset("json", data_files="sentences.jsonl", split="train").save_to_disk("saved")
    asked = "search tiny saved 'the cat' --json"
    found = nearfar(*shlex.split(asked))
    assert (workspace / "saved.index").is_dir()
    assert found.json["hits"] == nearfar(*shlex.split("search tiny sentences.jsonl 'the cat' --json")).json["hits"]
    assert "index of" not in nearfar(*shlex.split(asked)).err
    streamed = nearfar(*shlex.split(f"{asked} --stream --index streamed"))
    assert streamed.json["hits"] == found.json["hits"]
    mined = "mine pairs.jsonl --corpus saved --model tiny --num-negatives 1 --json --out"
    first = nearfar(*shlex.split(f"{mined} a.jsonl"))
    assert "index of" not in first.err
    second = nearfar(*shlex.split(f"{mined} b.jsonl --stream --index other"))
    assert (workspace / "a.jsonl").read_text() == (workspace / "b.jsonl").read_text()
    assert second.json["documents"] == first.json["documents"]
    beir = nearfar(*shlex.split("search tiny beir/corpus.jsonl cat --json --index ids"))
    again = nearfar(*shlex.split("search tiny beir/corpus.jsonl cat --json --index streamed-ids --stream"))
    assert again.json["hits"] == beir.json["hits"]
    load_dataset("json", data_files="labelled.jsonl", split="train").select(range(9)).save_to_disk("saved")
    assert "the corpus has changed" in nearfar(*shlex.split(asked)).err


def test_an_interrupted_stream_is_resumed(workspace: Path, nearfar: Nearfar, monkeypatch: pytest.MonkeyPatch):
    from nearfar.models import encoding_windows

    encode, done = encoding_windows.encode, []

    def interrupted(model, texts, **options):
        done.append(len(texts))
        if len(done) == 2:
            raise KeyboardInterrupt
        return encode(model, texts, **options)

    asked = shlex.split("encode tiny sentences.jsonl --stream --batch-size 1 --out v.npy")
    monkeypatch.setattr(encoding_windows, "encode", interrupted)
    assert nearfar(*asked).code != 0
    assert not (workspace / "v.npy").exists()
    assert nearfar(*asked).code == 0
    assert done == [32, 24, 24]
    assert not list(workspace.rglob(".v*"))
    nearfar(*shlex.split("encode tiny sentences.jsonl --out w.npy"))
    np.testing.assert_allclose(np.load(workspace / "v.npy"), np.load(workspace / "w.npy"), atol=1e-6)
    assert nearfar(*shlex.split("encode tiny sentences.jsonl --stream --kind image --out w.npy")).code == 2
    assert nearfar(*shlex.split("mine pairs.jsonl --stream --out w.jsonl --model tiny")).code == 2
