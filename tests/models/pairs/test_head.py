"""The head over pairs of vectors."""

from __future__ import annotations

import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.kinds.pair_scorer import PairScorer
from nearfar.models.pairs import head as head_module
from nearfar.models.pairs.head import PairHead, PairHeadConfig, pair_features


def test_features_and_what_turning_the_pair_around_does_to_them() -> None:
    u, v = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 0.5]])
    assert pair_features(u, v).tolist() == [[1, -2, 3, 0.5, 3, -1, 2, 2.5]]
    assert pair_features(v, u).tolist() == [[3, 0.5, 1, -2, 3, -1, 2, 2.5]]
    torch.manual_seed(0)
    head = PairHead(PairHeadConfig(2)).eval()
    assert not torch.allclose(head(u, v), head(v, u))


@pytest.mark.parametrize("features", ["concat", "dot"])
@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_matrix_of_scores_is_that_of_every_pair(features, block, monkeypatch) -> None:
    monkeypatch.setattr(head_module, "BLOCK", block)
    torch.manual_seed(0)
    head = PairHead(PairHeadConfig(6, "classes", 3, hidden=7, features=features)).eval()
    queries, candidates = torch.randn(4, 6), torch.randn(5, 6)
    found = head.score_matrix(queries, candidates)
    assert found.shape == (4, 5, 3)
    for i in range(4):
        for j in range(5):
            pair = head(queries[i : i + 1], candidates[j : j + 1])[0]
            torch.testing.assert_close(found[i, j], pair, atol=1e-5, rtol=0)


def test_scoring_reads_every_text_once(tiny_model_folder, monkeypatch) -> None:
    encoder = SentenceTransformer(str(tiny_model_folder), device="cpu")
    torch.manual_seed(0)
    scorer = PairScorer(encoder, PairHead(PairHeadConfig(64, layers=2)))
    read = []
    inner = encoder[0].model
    forward = type(inner).forward
    monkeypatch.setattr(
        type(inner), "forward", lambda self, *a, **k: read.append(len(k["input_ids"])) or forward(self, *a, **k)
    )
    queries = ["the cat", "a dog on the grass"]
    candidates = ["a bird flies", "blue sky", "the sun is warm today"]
    matrix = scorer.score_against(queries, scorer.encode(candidates))
    assert matrix.shape == (2, 3, 1)
    assert sum(read) == len(queries) + len(candidates)
    pairs = [(query, candidate) for query in queries for candidate in candidates]
    torch.testing.assert_close(matrix.reshape(6, 1), scorer.score(pairs), atol=1e-5, rtol=0)


def test_saved_and_loaded(tiny_model_folder, model_copy) -> None:
    torch.manual_seed(1)
    head = PairHead(PairHeadConfig(32, "binary", dropout=0.1)).eval()
    head.save(model_copy)
    assert sorted(path.name for path in (model_copy / "pair_head").iterdir()) == ["config.json", "model.safetensors"]
    loaded = PairScorer.load(model_copy, device="cpu")
    assert loaded.head.config == head.config
    direct = PairScorer(SentenceTransformer(str(tiny_model_folder), device="cpu"), head)
    pairs = [("the cat", "a dog"), ("blue sky", "the sea")]
    assert torch.equal(loaded.score(pairs), direct.score(pairs))
    assert SentenceTransformer(str(model_copy), device="cpu").encode(["a dog"]).shape == (1, 32)


def test_a_head_that_is_not_there_or_damaged(tiny_model_folder, model_copy, tiny_model) -> None:
    with pytest.raises(InputError, match="no pair head"):
        PairScorer.load(tiny_model_folder)
    PairHead(PairHeadConfig(32)).save(model_copy)
    weights = model_copy / "pair_head" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"pair_head: .*SafetensorError"):
        PairScorer.load(model_copy)
    with pytest.raises(ValueError, match=r"31.*got 32"):
        PairScorer(tiny_model, PairHead(PairHeadConfig(31)))
