"""Search results in the order of a reranker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nearfar.data import write_jsonl


def test_a_reranker_decides_on_the_order(tiny_model_folder: Path, yes_no_folder: Path, tmp_path: Path, capsys) -> None:
    from nearfar.cli.app import run
    from nearfar.kinds.loading import load_scorer

    texts = [f"the {word} and so" for word in ("cat", "dog", "sky", "sea", "red", "bank")]
    write_jsonl([{"text": text} for text in texts], tmp_path / "texts.jsonl")
    base = ["search", str(tiny_model_folder), str(tmp_path / "texts.jsonl"), "the dog", "--json"]
    assert run([*base, "-k", "3", "--rerank", str(yes_no_folder)]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    scores = load_scorer(yes_no_folder, device="cpu").score_pairs(["the dog"] * 6, texts)
    assert [hit["text"] for hit in hits] == [texts[row] for row in np.argsort(-scores)[:3]]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert [hit["score"] for hit in hits] == pytest.approx(sorted(scores, reverse=True)[:3], abs=1e-5)
    assert run([*base, "-k", "1", "--depth", "1", "--rerank", str(yes_no_folder)]) == 0
    (hit,) = json.loads(capsys.readouterr().out)["hits"]
    assert run([*base, "-k", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == hit["id"]
