"""Reranking: nDCG before and after by hand, depths, what a query is itself, and the first stage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from nearfar.cli.app import run
from nearfar.data.retrieval import Retrieval, write_retrieval
from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.evaluation.tasks.reranking import measure
from nearfar.evaluation.tasks.task import Asked
from nearfar.kinds.encoder import Encoder
from nearfar.models.abilities import Scores
from nearfar.models.encoding import encode

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree")


def corpus(size: int) -> dict[str, str]:
    return {f"d{n}": f"the {WORDS[n % 12]} and the {WORDS[(n // 12 + n) % 12]} {n}" for n in range(size)}


def data(size: int = 60) -> Retrieval:
    documents = corpus(size)
    queries = {f"q{n}": f"{WORDS[n]} {WORDS[(n * 5) % 12]}" for n in range(6)}
    return Retrieval(documents, queries, {f"q{n}": {f"d{7 * n}": 1, f"d{3 * n + 1}": 2} for n in range(6)})


class Knows(Scores):
    """Gives the right documents the highest scores; counts what it was asked."""

    words = "a scorer"

    def __init__(self, found: Retrieval, sign: float = 1.0) -> None:
        self.found, self.sign, self.asked = found, sign, 0
        self.gains = {
            (found.queries[query], found.corpus[document]): grade
            for query, grades in found.relevant.items()
            for document, grade in grades.items()
        }

    def score_pairs(self, first, second, *, batch_size=64):
        self.asked += len(first)
        return self.sign * np.array([self.gains.get(pair, 0) for pair in zip(first, second, strict=True)], float)


def test_before_and_after_by_hand(tiny_model) -> None:
    found = data()
    model = Knows(found)
    result = measure(model, found, Asked(first=tiny_model))
    documents, vectors = list(found.corpus), encode(tiny_model, list(found.corpus.values()))
    discounts = 1 / np.log2(np.arange(2, 12))
    for row, (query, grades) in enumerate(found.relevant.items()):
        order = np.argsort(-(vectors @ encode(tiny_model, [found.queries[query]])[0]), kind="stable")
        ideal = (np.array([2, 1]) * discounts[:2]).sum()
        gains = np.array([grades.get(documents[n], 0) for n in order])
        assert result.per_item["ndcg@10_first_stage"][row] == pytest.approx((gains[:10] * discounts).sum() / ideal)
        for depth in (25, 50, 60):
            best = np.sort(gains[:depth])[::-1][:10]
            assert result.per_item[f"ndcg@10_top_{depth}"][row] == pytest.approx((best * discounts).sum() / ideal)
    assert result.primary == "ndcg@10"
    assert result.metrics["ndcg@10"] == result.metrics["ndcg@10_top_60"] == pytest.approx(1)
    assert model.asked == 6 * 60  # every pair once
    gain = result.differences["top_60"]
    assert gain.mean == pytest.approx(1 - result.metrics["ndcg@10_first_stage"])
    assert list(result.ms_per_query) == ["first_stage", "top_25", "top_50", "top_60"]
    assert result.ms_per_query["top_25"] <= result.ms_per_query["top_50"] <= result.ms_per_query["top_60"]
    assert json.dumps(result.as_dict())


def test_no_more_than_a_hundred_are_reranked(tiny_model) -> None:
    found = data(130)
    result = measure(Knows(found), found, Asked(first=tiny_model))
    assert list(result.differences) == ["top_25", "top_50", "top_100"]
    lost = result.metrics["recall@100_first_stage"]
    assert 0 < lost <= 1
    assert result.metrics["ndcg@10"] <= 1
    assert (result.metrics["ndcg@10"] == pytest.approx(1)) == (lost == 1)


def test_a_worse_order_is_worse(tiny_model) -> None:
    found = data()
    result = measure(Knows(found, sign=-1), found, Asked(first=tiny_model))
    assert result.metrics["ndcg@10"] == pytest.approx(0)
    assert result.differences["top_60"].mean == pytest.approx(-result.metrics["ndcg@10_first_stage"])
    assert any("worse" in note for note in result.notes)


def test_a_query_that_is_a_document_is_no_candidate(tiny_model) -> None:
    found = data(40)
    same = Retrieval({**found.corpus, "q1": found.queries["q1"]}, found.queries, found.relevant)
    results = [measure(Knows(found), each, Asked(first=tiny_model)) for each in (found, same)]
    assert results[0].per_item["ndcg@10_first_stage"][1] == results[1].per_item["ndcg@10_first_stage"][1]
    assert "no candidate for itself" in " ".join(results[1].notes)


def test_pairs_are_reranked_too_and_an_encoder_as_its_own_reranker_changes_nothing(tiny_model) -> None:
    rows = Dataset.from_dict({"anchor": [f"the {w}" for w in WORDS], "positive": [f"a {w} runs" for w in WORDS]})
    result = evaluate(Encoder(tiny_model), rows, "rerank", first=tiny_model)
    assert result.metrics["ndcg@10"] == pytest.approx(result.metrics["ndcg@10_first_stage"], abs=1e-6)
    plain = evaluate(tiny_model, rows)
    assert plain.task == "retrieval"
    assert result.metrics["ndcg@10_first_stage"] == pytest.approx(plain.metrics["ndcg@10"], abs=1e-6)


def test_the_first_stage_must_encode(tiny_model, yes_no_folder: Path) -> None:
    found = data()
    with pytest.raises(InputError, match="first"):
        measure(Knows(found), found, Asked(first=str(yes_no_folder)))
    with pytest.raises(InputError, match="first"):
        evaluate(tiny_model, found, "retrieval", first=tiny_model)


def test_the_command(tiny_model_folder: Path, yes_no_folder: Path, tmp_path: Path, capsys) -> None:
    write_retrieval(data(40), tmp_path / "beir")
    base = ["evaluate", str(yes_no_folder), "--data", str(tmp_path / "beir"), "--task", "rerank"]
    assert run([*base, "--first", str(tiny_model_folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["task"] == "rerank"
    assert set(told["differences"]) == {"top_25", "top_40"}
    assert set(told["ms_per_query"]) == {"first_stage", "top_25", "top_40"}
    assert run([*base, "--first", str(tiny_model_folder)]) == 0
    assert "ms per query" in capsys.readouterr().out
    assert run(["evaluate", str(tiny_model_folder), "--data", str(tmp_path / "beir"), "--first", "minilm"]) == 2
    assert "first" in capsys.readouterr().err
