"""Several positives of a query, and pairs with scores, as losses for the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import graded_worker
import pytest
import torch
import torch.nn.functional as F
from graded_cases import S, Y, close, vector
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from torch import Tensor

from joint_processes import joint
from nearfar import contrast, far, near
from nearfar.losses.graded import GradedSimilarityLoss, GradedWeights, MultiPositiveLoss
from nearfar.models import load


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


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path: Path):
    joint(graded_worker.work, tmp_path)
    whole = graded_worker.gradient(slice(None), 1)
    found = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2)]
    for each in found:
        assert float((each["shared"] - whole).abs().max()) < 1e-12
    alone = (found[0]["alone"] + found[1]["alone"]) / 2
    assert float((alone - whole).abs().max()) > 1e-3, "negatives of the other process count"
