"""ContrastLoss against sentence-transformers' own losses, and inside its trainer."""

from __future__ import annotations

import copy
from pathlib import Path

import extra_worker
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    GISTEmbedLoss,
    MultipleNegativesRankingLoss,
)

from joint_processes import joint
from nearfar import contrast, far, near
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
    """Columns of different texts of very different lengths, so that there is something to sort and to truncate."""
    texts = [
        [f"{k} " + " ".join([TEXTS[(i * k) % 5]] * (1 + (i + k) % 4)) for i in range(N)] for k in range(1, number + 1)
    ]
    return [model.preprocess(column) for column in texts]


def changed_guide(model: SentenceTransformer, number: int) -> SentenceTransformer:
    """The model with noise in its weights; no cosine is so near to where it masks that rounding decides."""
    for seed in range(100):
        guide, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in guide.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
            vectors = [guide(dict(column))["sentence_embedding"] for column in columns(guide, number)]
        anchors, *others = (torch.nn.functional.normalize(each, dim=1) for each in vectors)
        cosines = anchors @ torch.cat(others).T
        distance = (cosines - cosines.diagonal()[:, None]).abs()
        distance.fill_diagonal_(1.0)
        if distance.min() > 1e-4:
            return guide
    raise AssertionError("no such guide")


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
    guide = changed_guide(model, number)
    gist = GISTEmbedLoss(model, guide, temperature=0.05, contrast_anchors=False, contrast_positives=False)
    expected = value_and_gradient(gist, model, number)
    unguided = value_and_gradient(MultipleNegativesRankingLoss(model), model, number)
    assert expected[0] != pytest.approx(unguided[0]), "the guide masks nothing: the case is too easy"
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


EXTRA = torch.randn(7, 32, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("cached", [False, True])
def test_extra_candidates_are_negatives_of_every_anchor(model, cached) -> None:
    class InfoNCE(torch.nn.Module):
        def forward(self, features, labels):
            a, p, n = (torch.nn.functional.normalize(model(f)["sentence_embedding"], dim=1) for f in features)
            c = torch.cat([p, n, torch.nn.functional.normalize(EXTRA, dim=1)])
            return torch.nn.functional.cross_entropy(a @ c.T / 0.05, torch.arange(N))

    expected = value_and_gradient(InfoNCE(), model, 3)
    loss = ContrastLoss(model, cached=cached, extra=lambda batch: EXTRA)
    assert_same(value_and_gradient(loss, model, 3), expected)
    with torch.no_grad():
        assert float(loss(columns(model, 3))) == pytest.approx(expected[0], rel=1e-5)


@pytest.mark.parametrize("cached", [False, True])
def test_gradients_flow_through_extra_candidates(model, cached) -> None:
    class Mixtures(torch.nn.Module):
        def forward(self, features, labels):
            a, p = (model(f)["sentence_embedding"] for f in features)
            c = torch.nn.functional.normalize(torch.cat([p, (a + p.roll(1, 0)) / 2]), dim=1)
            a = torch.nn.functional.normalize(a, dim=1)
            return torch.nn.functional.cross_entropy(a @ c.T / 0.05, torch.arange(N))

    def mixtures(batch: Batch) -> torch.Tensor:
        return (batch.anchors + batch.candidates.roll(1, 0)) / 2

    expected = value_and_gradient(Mixtures(), model, 2)
    assert_same(value_and_gradient(ContrastLoss(model, cached=cached, extra=mixtures), model, 2), expected)
    constant = ContrastLoss(model, cached=cached, extra=lambda batch: mixtures(batch).detach())
    assert (value_and_gradient(constant, model, 2)[1] - expected[1]).norm() > 1e-2 * expected[1].norm()


class Queue(torch.nn.Module):
    """Extra candidates that are trained."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = torch.nn.Parameter(rows)
        self.shift = torch.nn.Parameter(torch.zeros(32))

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.rows + batch.anchors[:7] + self.shift


@pytest.mark.parametrize("accumulated", [1, 3])
def test_weights_behind_extra_candidates_are_trained_with_and_without_the_cache(model, accumulated) -> None:
    found = []
    for cached in (False, True):
        loss = ContrastLoss(model, cached=cached, extra=Queue(EXTRA.clone()), learn_temperature=True)
        assert {"extra.rows", "extra.shift", "log_temperature"} <= {name for name, _ in loss.named_parameters()}
        model.zero_grad()
        value = loss(columns(model, 2)) / accumulated
        before = [p.grad for name, p in loss.named_parameters() if not name.startswith("model.")]
        assert before == [None] * 3, "gradients wait for the factor of the trainer"
        value.backward()
        found.append([p.grad.clone() for p in loss.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    assert any(g.shape == EXTRA.shape and g.abs().max() > 0 for g in found[1])


def test_extra_candidates_of_labelled_texts_have_no_label(model) -> None:
    labels = torch.arange(N) % 3
    (vectors,) = (model(column)["sentence_embedding"] for column in columns(model, 1))
    candidates = torch.cat([vectors, EXTRA])
    share = (labels[:, None] == labels).fill_diagonal_(False).float()
    p = torch.nn.functional.pad(share / share.sum(1, keepdim=True), (0, 7))
    for symmetric in (False, True):
        expected = contrast(vectors, candidates, near.weights(p), far.except_self())
        if symmetric:
            turned = contrast(candidates, vectors, near.weights(p.T), far.except_self().transposed())
            expected = (expected + turned) / 2
        loss = ContrastLoss(model, extra=lambda batch: EXTRA, symmetric=symmetric)
        torch.testing.assert_close(loss(columns(model, 1), labels), expected)


def test_a_guide_does_not_judge_extra_candidates(model) -> None:
    guide = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in guide.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    a, p = (model(column)["sentence_embedding"] for column in columns(model, 2))
    guide_a, guide_p = (guide(column)["sentence_embedding"] for column in columns(model, 2))
    likely = torch.nn.functional.cosine_similarity(guide_a[:, None], guide_p, dim=2)
    mask = likely > likely.diagonal()[:, None]
    mask.fill_diagonal_(False)
    assert mask.any()
    expected = contrast(a, torch.cat([p, EXTRA]), far=far.masked(torch.nn.functional.pad(mask, (0, 7))))
    loss = ContrastLoss(model, guide=guide, extra=lambda batch: EXTRA)
    torch.testing.assert_close(loss(columns(model, 2)), expected, rtol=1e-4, atol=1e-5)


def test_what_near_far_and_extra_see(model) -> None:
    seen: dict[str, Batch] = {}

    def extra(batch: Batch) -> torch.Tensor:
        seen["extra"] = batch
        return EXTRA.double()

    def by_vectors(batch: Batch):
        seen["near"] = batch
        return near.by_similarity(batch.anchors, batch.candidates, "relu")

    loss = ContrastLoss(model, near=by_vectors, far=lambda batch: seen.setdefault("far", batch) and None, extra=extra)
    loss(columns(model, 2)).backward()
    assert seen["extra"].candidates.shape == (N, 32)
    assert seen["extra"].anchors.requires_grad
    assert seen["extra"].extra == 0
    for batch in (seen["near"], seen["far"]):
        assert batch.candidates.shape == (N + 7, 32)
        assert batch.candidates.dtype == torch.float32
        assert batch.extra == 7
        assert not batch.anchors.requires_grad
        assert not batch.candidates.requires_grad


@pytest.mark.parametrize("wrong", [torch.zeros(7), torch.zeros(7, 3), None], ids=["vector", "width", "nothing"])
def test_extra_candidates_must_be_vectors_of_the_same_width(model, wrong) -> None:
    with pytest.raises(ValueError, match=r"^extra: .*\(k, 32\)"):
        ContrastLoss(model, extra=lambda batch: wrong)(columns(model, 2))


@pytest.mark.slow
def test_extra_candidates_of_two_processes_are_as_those_of_one(tmp_path) -> None:
    joint(extra_worker.work, tmp_path)
    for labelled in (False, True):
        whole = extra_worker.outcome(slice(None), 3, 1, labelled)
        for rank in range(2):
            found = load_file(tmp_path / f"rank{rank}-{labelled}.safetensors")
            for name, expected in whole.items():
                torch.testing.assert_close(found[name], expected, rtol=1e-10, atol=1e-12)


def test_no_extra_candidates_change_nothing(model) -> None:
    plain, none = ContrastLoss(model), ContrastLoss(model, extra=lambda batch: EXTRA[:0])
    with torch.no_grad():
        assert plain(columns(model, 2)).item() == none(columns(model, 2)).item()


def test_evaluation_mode_needs_no_gradient(model) -> None:
    values = []
    for cached in (False, True):
        with torch.no_grad():
            values.append(ContrastLoss(model, cached=cached)(columns(model, 2)))
    assert not values[1].requires_grad
    assert values[0] == pytest.approx(values[1].item(), rel=1e-5)


def test_one_column_without_labels_is_an_error(model) -> None:
    with pytest.raises(ValueError, match="no label"):
        ContrastLoss(model)(columns(model, 1))


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"mini_batch_num_tokens": 0}])
def test_wrong_arguments(model, wrong) -> None:
    with pytest.raises(ValueError, match="invalid"):
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
