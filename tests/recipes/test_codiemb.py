"""What must hold of the order-aware losses, of several positives a query, and of the recipe that composes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar import contrast, far, near
from nearfar.data.positives import with_several_positives
from nearfar.data.scores import with_unit_scores
from nearfar.errors import InputError
from nearfar.losses import ordinal
from nearfar.losses.graded import GradedSimilarityLoss, GradedWeights, MultiPositiveLoss
from nearfar.models import load
from nearfar.recipes import codiemb
from nearfar.training.run import train
from plans import first_stage


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


S, Y = vector(0.9, 0.2, 0.6, 0.4), vector(1, 0, 0.8, 0.8)


def close(value: Any, expected: Any, tolerance: float = 1e-6) -> None:
    value, expected = (torch.as_tensor(each, dtype=torch.float64) for each in (value, expected))
    torch.testing.assert_close(value, expected, atol=tolerance, rtol=0)


class TestOrdinal:
    def test_worked_numbers(self):
        close(ordinal.relative_ranks(Y), [1, 0, 0.5, 0.5])
        close(ordinal.pearson(S, Y), 0.1567489)
        close(ordinal.rank_kl(S, Y), 0.000562352, 1e-9)
        close(ordinal.rank_kl(S, Y, reduction="sum"), 0.002249408, 1e-9)
        close(ordinal.preference_ranking(S, Y), 0.01387153, 1e-8)
        close(ordinal.rank_kl(S, Y, 0.5), 0.00576587, 1e-8)
        close(ordinal.preference_ranking(S, Y, 0.5), 0.4901990, 1e-7)

    def test_rank_kl_is_the_divergence(self):
        target, found = (ordinal.relative_ranks(Y) / 0.5).softmax(0), (S / 0.5).softmax(0)
        close(target, [0.5344, 0.0723, 0.1966, 0.1966], 5e-5)
        close(ordinal.rank_kl(S, Y, 0.5, "sum"), (target * (target / found).log()).sum(), 1e-12)

    def test_preference_ranking_equals_its_loop(self):
        s, y = torch.rand(9, dtype=torch.float64), torch.randint(0, 4, (9,)).double() / 3
        losses = []
        for k in range(9):
            lower = [j for j in range(9) if y[k] > y[j]]
            if lower:
                pull = max(y[k] - y[j] for j in lower) * s[k] / 0.3
                scores = torch.stack([pull, *((y[k] - y[j]) * s[j] / 0.3 for j in lower)])
                losses.append(scores.logsumexp(0) - pull)
        close(ordinal.preference_ranking(s, y, 0.3), torch.stack(losses).mean(), 1e-12)

    def test_preference_ranking_of_binary_labels_is_infonce_against_the_zeros(self):
        y = vector(1, 1, 0, 0)
        each = [torch.stack([S[k], S[2], S[3]]) / 0.05 for k in (0, 1)]
        close(ordinal.preference_ranking(S, y), sum(x.logsumexp(0) - x[0] for x in each) / 2, 1e-12)
        close(ordinal.preference_ranking(S, y), 4.0105002, 1e-7)

    def test_preference_ranking_of_two(self):
        close(ordinal.preference_ranking(vector(0.3, 0.5), vector(1, 0.4)), 2.4868362, 1e-7)
        close(F.softplus(torch.tensor((0.5 - 0.3) * 0.6 / 0.05)), 2.4868362)

    def test_what_changes_nothing_and_what_does(self):
        pro, order = ordinal.preference_ranking, torch.tensor([2, 0, 3, 1])
        close(pro(S, 5 * Y, 0.5), pro(S, Y, 0.1), 1e-12)
        for loss in (ordinal.pearson, ordinal.rank_kl, pro):
            close(loss(S[order], Y[order]), loss(S, Y), 1e-12)
        close(pro(S + 0.05, Y, 0.5), 0.483865)
        close(pro(S - 0.05, Y, 0.5), 0.496927)
        for loss in (ordinal.pearson, ordinal.rank_kl):
            close(loss(S + 0.05, Y), loss(S, Y), 1e-12)
        close(ordinal.pearson(2 * S, Y), ordinal.pearson(S, Y), 1e-12)
        assert abs(ordinal.rank_kl(2 * S, Y) - ordinal.rank_kl(S, Y)) > 1e-4

    def test_rank_kl_vanishes_at_the_ranks_and_its_gradient_is_the_difference(self):
        close(ordinal.rank_kl(ordinal.relative_ranks(Y), Y), 0, 1e-12)
        s = S.clone().requires_grad_()
        ordinal.rank_kl(s, Y, 0.2).backward()
        close(s.grad, ((S / 0.2).softmax(0) - (ordinal.relative_ranks(Y) / 0.2).softmax(0)) / (4 * 0.2), 1e-12)

    def test_gradient_of_pearson(self):
        s = S.clone().requires_grad_()
        ordinal.pearson(s, Y).backward()
        assert s.grad is not None
        assert s.grad.abs().max() > 0.1
        close(s.grad.sum(), 0, 1e-12)
        close(s.grad @ (S - S.mean()), 0, 1e-12)

    def test_gradient_of_preference_ranking(self):
        assert torch.autograd.gradcheck(
            lambda s: ordinal.preference_ranking(s, Y, 0.5), [S.clone().requires_grad_()], atol=1e-6
        )

    @pytest.mark.parametrize("s", [S, vector(0.5, 0.5, 0.5, 0.5)])
    @pytest.mark.parametrize("y", [vector(0.3, 0.3, 0.3, 0.3), Y])
    def test_constants_give_no_nan(self, s: Tensor, y: Tensor):
        s = s.clone().requires_grad_()
        losses = [loss(s, y) for loss in (ordinal.pearson, ordinal.rank_kl, ordinal.preference_ranking)]
        sum(losses[1:], losses[0]).backward()
        assert s.grad is not None
        assert torch.isfinite(torch.stack([*losses, s.grad.sum()])).all()
        if float(y.std()) == 0:
            close(torch.stack([losses[0], losses[2]]), [0, 0])
            close(ordinal.rank_kl(vector(1, 1, 1, 1), y), 0, 1e-12)  # a uniform target

    def test_alike_in_batch(self):
        a = vector(1, 0, 0, 1).reshape(2, 2)
        b = torch.stack([vector(0.9, (1 - 0.81) ** 0.5), vector(0.88, (1 - 0.88**2) ** 0.5)])
        close(ordinal.alike_in_batch(a, b, vector(1, 0.4)), 0.3133, 5e-5)
        none = ordinal.alike_in_batch(a.requires_grad_(), b, vector(0.9, 0.4))
        none.backward()
        assert none == 0
        close(a.grad, torch.zeros(2, 2))

    def test_shapes(self):
        with pytest.raises(ValueError, match="vectors of one length"):
            ordinal.pearson(S, Y[:3])
        with pytest.raises(ValueError, match="3 labels for 4 pairs"):
            ordinal.alike_in_batch(S[:, None], S[:, None], Y[:3])


class TestMultiPositive:
    QUERIES = torch.tensor([[1, 0], [0, 1]], dtype=torch.float64)
    COLUMNS = (
        QUERIES,
        torch.tensor([[1, 0], [0, 1]], dtype=torch.float64),
        torch.tensor([[0.8, 0.6], [0.6, 0.8]], dtype=torch.float64),
        torch.tensor([[0.6, 0.8], [0.8, 0.6]], dtype=torch.float64),
    )

    def of(self, columns: Any, positives: int, temperature: float = 0.5) -> Tensor:
        model: Any = torch.nn.Identity()
        loss = MultiPositiveLoss(model, positives, temperature=temperature)
        return loss.loss_of_vectors(columns, None, None, temperature)

    def test_worked_numbers(self):
        close(self.of(self.COLUMNS, 2), 1.0097, 5e-5)
        close(self.of([*self.COLUMNS[:2], self.COLUMNS[3]], 1), 0.8131, 5e-5)
        close(self.of([self.COLUMNS[0], *self.COLUMNS[2:]], 1), 1.2062, 5e-5)

    def test_is_neither_the_log_of_the_sum_nor_supcon(self):
        s = self.QUERIES @ torch.cat(self.COLUMNS[1:]).T / 0.5
        own = torch.eye(2).repeat(1, 2).bool()
        positives = s[:, :4][own].reshape(2, 2)
        of_the_sum = (s.logsumexp(1) - positives.logsumexp(1)).mean()
        supcon = (s.logsumexp(1)[:, None] - positives).mean()
        close(torch.stack([of_the_sum, supcon]), [0.7033, 1.4163], 5e-5)
        assert abs(self.of(self.COLUMNS, 2) - of_the_sum) > 0.1
        assert abs(self.of(self.COLUMNS, 2) - supcon) > 0.1

    def test_one_positive_and_no_negative_is_infonce(self):
        q, d = (torch.randn(5, 3, dtype=torch.float64) for _ in range(2))
        close(self.of([q, d], 1), contrast(q, d, temperature=0.5), 1e-12)
        s = F.normalize(q) @ F.normalize(d).T / 0.5
        close(self.of([q, d], 1), F.cross_entropy(s, torch.arange(5)), 1e-10)

    def test_equals_its_loop_and_one_call_with_all_slots_as_rows(self):
        b, p, n = 4, 3, 2
        columns = [torch.randn(b, 5, dtype=torch.float64) for _ in range(1 + p + n)]
        found = self.of(columns, p)
        q, *d = map(F.normalize, columns)
        loop = []
        for k in range(p):
            s = q @ torch.cat([d[k], *d[p:]]).T / 0.5
            loop.append(F.cross_entropy(s, torch.arange(b)))
        close(found, torch.stack(loop).mean(), 1e-10)

        slots, rows = torch.arange(p).repeat_interleave(b), torch.arange(p * b)
        of_column = torch.cat([slots, torch.full((n * b,), -1)])
        other_slot = (of_column >= 0) & (of_column != slots[:, None])
        own = F.one_hot(rows, b * (p + n)).double()
        once = contrast(q.repeat(p, 1), torch.cat(d), near.weights(own), far.masked(other_slot), temperature=0.5)
        close(found, once, 1e-10)

    def test_gradient_cache_gives_the_same(self, tiny_model_folder: Path):
        gradients = []
        for cached in (False, True):
            model = load(tiny_model_folder, device="cpu")
            texts = [["a cat", "red sky"], ["the cat sits", "sky"], ["cat on mat", "blue sky"], ["dog", "a fish swims"]]
            features = [model.preprocess(column) for column in texts]
            MultiPositiveLoss(model, 2, temperature=0.1, cached=cached)(features).backward()
            gradients.append(model[0].model.embeddings.word_embeddings.weight.grad)
        assert gradients[0].abs().max() > 0.01
        close(gradients[1], gradients[0], 1e-5)


class TestGradedSimilarityLoss:
    def test_worked_numbers(self):
        model: Any = torch.nn.Identity()
        # Unit vectors whose cosines are S.
        a, b = vector(1, 0).expand(4, 2), torch.stack([S, (1 - S**2).sqrt()], dim=1)
        loss = GradedSimilarityLoss(model, GradedWeights(middle=0))
        close(loss.loss_of_vectors(a, b, Y), 0.3232454)

    def test_looks_at_the_layer_in_the_middle(self, tiny_model: SentenceTransformer):
        texts = [["a cat", "red sky", "the bank"], ["the cat sits", "blue sky", "fish"]]
        features = [tiny_model.preprocess(column) for column in texts]
        labels = torch.tensor([1.0, 1.0, 0.2])
        without = GradedSimilarityLoss(tiny_model, GradedWeights(middle=0))
        with_middle = GradedSimilarityLoss(tiny_model, GradedWeights(middle=3))
        found = with_middle([dict(f) for f in features], labels) - without([dict(f) for f in features], labels)

        middle = []
        for f in features:
            out = tiny_model[0].model(f["input_ids"], attention_mask=f["attention_mask"], output_hidden_states=True)
            assert len(out.hidden_states) == 3
            mask = f["attention_mask"][:, :, None]
            middle.append((out.hidden_states[1] * mask).sum(1) / mask.sum(1))
        s = F.normalize(middle[0]) @ F.normalize(middle[1]).T / 0.02
        close(found, 3 * F.cross_entropy(s[:2], torch.arange(2)), 1e-4)
        assert not tiny_model[0].model.config.output_hidden_states

    def test_needs_scores(self, tiny_model: SentenceTransformer):
        with pytest.raises(ValueError, match="'score' column"):
            GradedSimilarityLoss(tiny_model)([])


class TestData:
    def test_positives_of_one_anchor_come_together(self):
        rows = Dataset.from_dict(
            {
                "anchor": ["q", "p", "q", "q", "q"],
                "positive": ["1", "2", "3", "1", "4"],
                "negative": ["a", "b", "c", "d", "e"],
            }
        )
        found, positives = with_several_positives(rows, 2)
        assert positives == 2
        assert found.column_names == ["anchor", "positive", "positive_2", "negative"]
        assert list(map(tuple, (row.values() for row in found))) == [
            ("q", "1", "3", "a"),
            ("q", "4", "4", "e"),
            ("p", "2", "2", "b"),
        ]
        assert with_several_positives(rows, 9)[1] == 3
        assert with_several_positives(rows, 1) == (rows, 1)
        single = rows.select([0, 1])
        assert with_several_positives(single, 2) == (single, 1)

    def test_scores_are_stretched_where_they_must_be(self):
        def scores(*values: float) -> Dataset:
            return Dataset.from_dict({"sentence1": ["a"] * len(values), "score": list(values)})

        assert list(with_unit_scores(scores(0.2, 0.7))["score"]) == [0.2, 0.7]
        assert list(with_unit_scores(scores(0.0, 4.0, 5.0))["score"]) == [0.0, 0.8, 1.0]
        assert list(with_unit_scores(scores(-1.0, 0.0, 1.0))["score"]) == [0.0, 0.5, 1.0]
        with pytest.raises(InputError, match=r"score: .* 3 in every row"):
            with_unit_scores(scores(3, 3))


def pairs(n: int = 24) -> Dataset:
    # Every second anchor has a second positive.
    rows = [(f"a{i} cat", f"the {i} cat sits") for i in range(n)] + [
        (f"a{i} cat", f"{i} cat on mat") for i in range(0, n, 2)
    ]
    anchors, positives = zip(*rows, strict=True)
    return Dataset.from_dict(
        {"anchor": list(anchors), "positive": list(positives), "negative": [f"dog {i}" for i in range(len(rows))]}
    )


def scored(n: int = 20) -> Dataset:
    texts = [f"the sky {i}" for i in range(n)]
    return Dataset.from_dict(
        {"sentence1": texts, "sentence2": [f"a sky {i % 5}" for i in range(n)], "score": [i % 6 for i in range(n)]}
    )


def test_plan_gives_each_data_set_its_own(tiny_model: SentenceTransformer):
    options = codiemb.Options(batch_size=8, similarity_batch_size=4)
    plan = first_stage(codiemb.prepare)(tiny_model, DatasetDict(ir=pairs(), sts=scored()), options)
    assert plan.batches == {"ir": "no_duplicates", "sts": "shuffled"}
    assert plan.batch_sizes == {"ir": 8, "sts": 4}
    assert isinstance(plan.loss, dict)
    assert isinstance(plan.loss["ir"], MultiPositiveLoss)
    assert (plan.loss["ir"].positives, plan.loss["ir"].temperature) == (2, 0.02)
    assert isinstance(plan.loss["sts"], GradedSimilarityLoss)
    assert plan.loss["sts"].weights == GradedWeights()
    assert isinstance(plan.rows, DatasetDict)
    assert plan.rows["ir"].column_names == ["anchor", "positive", "positive_2", "negative"]
    assert max(plan.rows["sts"]["score"]) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("positives", 0),
        ("middle", -1),
        ("order_temperature", 0),
        ("similarity_batch_size", 1),
        ("rank_kl", float("nan")),
    ],
)
def test_options_out_of_range(option: str, value: float):
    with pytest.raises(InputError, match=option):
        codiemb.Options(**{option: value})  # type: ignore[arg-type]


def test_some_weight_must_be_left():
    with pytest.raises(InputError, match="no weight is above 0"):
        codiemb.Options(middle=0, pearson=0, preference_ranking=0, rank_kl=0)


@pytest.mark.parametrize("which", ["both", "pairs", "scored"])
def test_trains_on_both_tasks_and_on_either(which: str, tiny_model_folder: Path, tmp_path: Path):
    data: Any = {"both": {"ir": pairs(), "sts": scored()}, "pairs": pairs(), "scored": scored()}[which]
    out = tmp_path / "run"
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 8, "similarity_batch_size": 4, "learning_rate": 1e-3}
    run = train("codiemb", data, model=tiny_model_folder, out=out, **settings)
    # 24 anchors in batches of 8, 20 scored pairs in batches of 4.
    assert run.metrics["steps"] == {"both": 3 + 5, "pairs": 3, "scored": 5}[which]
    trained, before = SentenceTransformer(str(out / "model"), device="cpu"), load(tiny_model_folder, device="cpu")
    change = trained.encode(["a cat"]) - before.encode(["a cat"])
    assert abs(change).max() > 1e-3


def test_scored_pairs_are_ordered_better_afterwards(tiny_model_folder: Path, tmp_path: Path):
    rows = scored(40)
    run = train(
        "codiemb",
        rows,
        model=tiny_model_folder,
        evaluation=rows,
        out=tmp_path / "run",
        max_steps=40,
        similarity_batch_size=20,
        learning_rate=3e-3,
        alike_from=0.8,
    )
    assert run.before is not None
    assert run.after is not None
    assert run.after.score > run.before.score + 0.2
