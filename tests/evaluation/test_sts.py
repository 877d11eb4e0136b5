from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.stats import pearsonr, spearmanr

from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.models import load

WORDS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank"]
FIRST = [f"the {word} runs" for word in WORDS]
SECOND = [f"a {word} sits on the mat" for word in reversed(WORDS)]
SCORES = [0.1, 3.0, 2.5, 4.0, 5.0, 0.0, 1.5, 2.0]


def rows(scores: list, first: list | None = None) -> Dataset:
    return Dataset.from_dict({"sentence1": first or FIRST, "sentence2": SECOND, "score": scores})


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_correlations_are_those_of_the_models_own_similarity(tiny_model_folder: Path, similarity: str):
    model = load(tiny_model_folder, device="cpu")
    model.similarity_fn_name = similarity
    result = evaluate(model, rows(SCORES))
    expected = model.similarity_pairwise(model.encode(FIRST), model.encode(SECOND)).numpy()
    assert (result.task, result.primary, result.n) == ("sts", "spearman", 8)
    assert result.score == pytest.approx(spearmanr(expected, SCORES).statistic, abs=1e-6)
    assert result.metrics["pearson"] == pytest.approx(pearsonr(expected, SCORES).statistic, abs=1e-5)
    assert result.per_item is not None
    np.testing.assert_allclose(result.per_item["similarity"], expected, atol=1e-5)
    np.testing.assert_array_equal(result.per_item["score"], SCORES)


def test_a_collapsed_model_has_no_correlation_and_says_so(tiny_model_folder: Path):
    model = load(tiny_model_folder, device="cpu")
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    result = evaluate(model, rows(SCORES))
    assert np.isnan(result.score)
    assert "same similarity" in result.notes[0]
    assert result.as_dict()["metrics"] == {"spearman": None, "pearson": None}


def test_what_cannot_be_correlated(tiny_model):
    with pytest.raises(InputError, match=r"^score: .*only 2"):
        evaluate(tiny_model, rows([2.0] * 8))
    with pytest.raises(InputError, match=r"\b3 pairs.*got 1\b"):
        evaluate(tiny_model, rows(SCORES).select([0]))
    with pytest.raises(InputError, match=r"^score: row 2: .*nan"):
        evaluate(tiny_model, rows([1.0, float("nan"), *SCORES[2:]]))
    with pytest.raises(InputError, match=r"score: row 1: .*got 'high'"):
        evaluate(tiny_model, rows(["high"] * 8))
    with pytest.raises(InputError, match=r"sentence1: row 1: .*got None"):
        evaluate(tiny_model, rows(SCORES, first=[None, *FIRST[1:]]))


def test_three_pairs_are_enough_and_two_are_not(tiny_model):
    assert evaluate(tiny_model, rows(SCORES).select([0, 1, 2])).n == 3
    with pytest.raises(InputError):
        evaluate(tiny_model, rows(SCORES).select([0, 1]))
