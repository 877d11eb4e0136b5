"""ContrastLoss against sentence-transformers' own losses, and inside its trainer."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    GISTEmbedLoss,
    MultipleNegativesRankingLoss,
)

from nearfar import far, near
from nearfar.losses import Batch, ContrastLoss
from nearfar.models.dropout import set_dropout

TEXTS = [
    "the cat sits",
    "a dog runs on the grass",
    "blue sea and red fish",
    "bank",
    "music plays loud in the house today",
]
N = 10


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    set_dropout(model, 0.0)
    return model.train()


def columns(model: SentenceTransformer, number: int) -> list[dict]:
    """Columns of texts of very different lengths, so that sorting and cutting has something to do."""
    texts = [[" ".join([TEXTS[(i * k) % 5]] * (1 + (i + k) % 4)) for i in range(N)] for k in range(1, number + 1)]
    return [model.preprocess(column) for column in texts]


def value_and_gradient(loss: torch.nn.Module, model: SentenceTransformer, number: int, labels=None):
    model.zero_grad()
    value = loss([dict(column) for column in columns(model, number)], labels)
    value.backward()
    return value.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def assert_same(found, expected, tolerance: float = 1e-5) -> None:
    assert found[0] == pytest.approx(expected[0], rel=tolerance)
    assert (found[1] - expected[1]).norm() <= tolerance * expected[1].norm()


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("tokens", [None, 7, 40])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_equals_multiple_negatives_ranking(model, number, tokens, cached) -> None:
    expected = value_and_gradient(MultipleNegativesRankingLoss(model, scale=20.0), model, number)
    loss = ContrastLoss(model, temperature=0.05, cached=cached, mini_batch_num_tokens=tokens)
    assert_same(value_and_gradient(loss, model, number), expected)


def test_equals_the_cached_class(model) -> None:
    expected = value_and_gradient(CachedMultipleNegativesRankingLoss(model, mini_batch_size=4), model, 3)
    assert_same(value_and_gradient(ContrastLoss(model, temperature=0.05, cached=True), model, 3), expected)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("number", [2, 3])
def test_equals_gist_masking_of_anchor_candidate_pairs(model, number, cached) -> None:
    guide = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in guide.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    gist = GISTEmbedLoss(model, guide, temperature=0.05, contrast_anchors=False, contrast_positives=False)
    expected = value_and_gradient(gist, model, number)
    unguided = value_and_gradient(MultipleNegativesRankingLoss(model), model, number)
    assert expected[0] != pytest.approx(unguided[0]), "the guide masks nothing, so the test would show nothing"
    assert_same(value_and_gradient(ContrastLoss(model, guide=guide, cached=cached), model, number), expected)


@pytest.mark.parametrize("cached", [False, True])
def test_labelled_texts_are_supcon(model, cached) -> None:
    labels = torch.arange(N) % 3

    class SupCon(torch.nn.Module):
        """Khosla et al. 2020, equation 2, term by term."""

        def forward(self, features, labels):
            z = torch.nn.functional.normalize(model(features[0])["sentence_embedding"], dim=1)
            s = z @ z.T / 0.1
            terms = []
            for i in range(N):
                others = [j for j in range(N) if j != i]
                positives = [j for j in others if labels[j] == labels[i]]
                denominator = torch.logsumexp(s[i, others], 0)
                terms.append(-torch.stack([s[i, p] - denominator for p in positives]).mean())
            return torch.stack(terms).mean()

    expected = value_and_gradient(SupCon(), model, 1, labels)
    assert_same(value_and_gradient(ContrastLoss(model, temperature=0.1, cached=cached), model, 1, labels), expected)


def test_learned_temperature_has_the_same_gradient_with_and_without_the_cache(model) -> None:
    gradients = []
    for cached in (False, True):
        loss = ContrastLoss(model, learn_temperature=True, cached=cached)
        value = loss(columns(model, 2)) / 4  # as a trainer divides that accumulates over four batches
        value.backward()
        gradients.append(loss.log_temperature.grad.item())
    assert gradients[0] != 0
    assert gradients[1] == pytest.approx(gradients[0], rel=1e-4)


def test_dropout_of_both_passes_of_the_cache_is_the_same(tiny_model_folder) -> None:
    """The cached gradient belongs to the vectors that gave the loss: a small step lowers that very loss."""
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    set_dropout(model, 0.3)
    model.train()
    loss = ContrastLoss(model, cached=True, mini_batch_num_tokens=30)

    def value() -> torch.Tensor:
        torch.manual_seed(3)
        return loss(columns(model, 2))

    model.zero_grad()
    first = value()
    first.backward()
    squared = sum(float((p.grad**2).sum()) for p in model.parameters() if p.grad is not None)
    step = 1e-3 / squared**0.5
    with torch.no_grad():
        for p in model.parameters():
            if p.grad is not None:
                p -= step * p.grad
    assert first.item() - value().item() == pytest.approx(step * squared, rel=0.05)


def test_near_and_far_may_depend_on_the_batch(model) -> None:
    seen: list[Batch] = []

    def by_vectors(batch: Batch):
        seen.append(batch)
        return near.by_similarity(batch.anchors, batch.candidates, "relu")

    loss = ContrastLoss(model, near=by_vectors, far=lambda batch: far.harder(1.0))
    loss(columns(model, 3)).backward()
    assert seen[0].anchors.shape == (N, 32)
    assert seen[0].candidates.shape == (2 * N, 32)
    assert not seen[0].anchors.requires_grad


def test_evaluation_mode_needs_no_gradient(model) -> None:
    values = []
    for cached in (False, True):
        with torch.no_grad():
            values.append(ContrastLoss(model, cached=cached)(columns(model, 2)))
    assert not values[1].requires_grad
    assert values[0] == pytest.approx(values[1].item(), rel=1e-5)


def test_one_column_without_labels_says_what_to_give(model) -> None:
    with pytest.raises(ValueError, match=r"one column of texts and no label.*anchor, positive"):
        ContrastLoss(model)(columns(model, 1))


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"mini_batch_num_tokens": 0}])
def test_wrong_arguments(model, wrong) -> None:
    with pytest.raises(ValueError, match="must be"):
        ContrastLoss(model, **wrong)


PAIRS = {"anchor": TEXTS * 4, "positive": [text + " now" for text in TEXTS * 4]}
ROWS = {
    "pairs": PAIRS,
    "negatives": {**PAIRS, "negative_1": TEXTS[::-1] * 4, "negative_2": ["weather"] * 20},
    "labelled": {"text": TEXTS * 4, "label": [i % 5 for i in range(20)]},
}


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("kind", list(ROWS))
def test_runs_in_the_trainer_of_sentence_transformers(tiny_model_folder, tmp_path, kind, cached) -> None:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    before = {name: p.clone() for name, p in model.named_parameters()}
    loss = ContrastLoss(model, learn_temperature=True, cached=cached)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path),
        max_steps=3,
        per_device_train_batch_size=8,
        learning_rate=1e-2,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        use_cpu=True,
    )
    SentenceTransformerTrainer(model, arguments, Dataset.from_dict(ROWS[kind]), loss=loss).train()
    moved = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert any("encoder" in name for name in moved)
    assert float(loss.temperature.detach()) != pytest.approx(0.05)
