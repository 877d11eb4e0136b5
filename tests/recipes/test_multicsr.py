"""MultiCSR's loss: the paper's numbers, what a mask may do and may not, the frozen guide, a run from end to end."""

from __future__ import annotations

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from nearfar import contrast, far
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.losses.entrywise import EntrywiseLoss, entrywise_of_similarities
from nearfar.recipes.multicsr import NO_MASK, Options, prepare
from nearfar.training import train
from plans import first_stage

S = torch.tensor([[0.80, 0.60, 0.50, 0.10], [0.20, 0.70, 0.30, 0.40]], dtype=torch.float64)
M = torch.tensor([[0.90, 0.97, 0.40, 0.10], [0.10, 0.99, 0.20, 0.30]], dtype=torch.float64)
ROWS = [
    {"anchor": f"the {a} sits on the {b}", "positive": f"a {a} on a {b}", "negative": f"no {a} in the {b}"}
    for a, b in [("cat", "mat"), ("dog", "grass"), ("bird", "tree"), ("fish", "sea"), ("bank", "house"), ("sun", "sky")]
]


@pytest.fixture
def model(tiny_model_folder) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_model_folder), device="cpu")


def vectors(cosines: torch.Tensor) -> torch.Tensor:
    """Vectors (k, 2) with these cosines to (1, 0)."""
    return torch.stack([cosines, (1 - cosines**2).sqrt()], 1)


def row_loss(i: int, phi: float) -> torch.Tensor:
    """The loss of one row of the worked example, its own positive moved to the front."""
    order = [i, *(j for j in range(4) if j != i)]
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    suspected = far.except_likely_positives(x, vectors(M[i, order]), threshold=phi)
    return contrast(x, vectors(S[i, order]), far=suspected, temperature=0.05)


def test_worked_example() -> None:
    assert ((row_loss(0, 0.95) + row_loss(1, 0.95)) / 2).item() == pytest.approx(0.0026660242, abs=1e-10)
    assert ((row_loss(0, 2.0) + row_loss(1, 2.0)) / 2).item() == pytest.approx(0.0117187437, abs=1e-10)
    assert entrywise_of_similarities(S, M > 0.95, 0.05).item() == pytest.approx(0.0013329203, abs=1e-10)
    assert entrywise_of_similarities(S, None, 0.05).item() == pytest.approx(0.0058536909, abs=1e-10)


def batch(n: int = 6, d: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(k, d, generator=g, dtype=torch.float64) for k in (n, 2 * n, n, 2 * n))  # type: ignore


@pytest.mark.parametrize("seed", range(5))
def test_phi_two_is_supervised_simcse_and_a_mask_only_lowers_the_loss(seed) -> None:
    z, c, mz, mc = batch(seed=seed)
    logits = F.normalize(z, dim=1) @ F.normalize(c, dim=1).T / 0.05
    simcse = F.cross_entropy(logits, torch.arange(6))
    unmasked = contrast(z, c, far=far.except_likely_positives(mz, mc, threshold=2.0))
    assert unmasked.item() == pytest.approx(simcse.item(), abs=1e-12)
    before, steps = simcse.item(), []
    for phi in (0.9, 0.5, 0.0, -1.0):
        loss = contrast(z, c, far=far.except_likely_positives(mz, mc, threshold=phi)).item()
        assert loss <= before + 1e-15
        steps.append(loss < before)
        before = loss
    assert any(steps)


def test_no_gradient_reaches_a_masked_candidate_from_the_row_that_masks_it() -> None:
    z, c, mz, mc = batch()
    out = F.normalize(mz, dim=1) @ F.normalize(mc, dim=1).T > 0.4
    c.requires_grad_()
    for i in range(6):
        loss = contrast(z, c, far=far.except_likely_positives(mz, mc, threshold=0.4), reduction="none")
        (gradient,) = torch.autograd.grad(loss[i], c)
        masked = out[i].clone()
        masked[i] = False
        assert bool((gradient[masked] == 0).all())
        assert bool((gradient[~masked] != 0).any(1).all())
    assert out.any()


def test_the_own_positive_stays_and_a_row_without_negatives_has_no_loss() -> None:
    z, c, mz, _ = batch()
    everything = mz[:1].expand(6, -1), mz[:1].expand(12, -1)  # all texts alike: every cosine is 1
    loss = contrast(z, c, far=far.except_likely_positives(*everything, threshold=0.95), reduction="none")
    assert loss.tolist() == pytest.approx([0.0] * 6, abs=1e-12)


def test_the_own_hard_negative_may_be_masked() -> None:
    z, c, mz, mc = batch()
    mc[6:] = mz
    loss = contrast(z, c, far=far.except_likely_positives(mz, mc, threshold=0.999))
    own = torch.cat([torch.zeros(6, 6), torch.eye(6)], 1).bool()
    assert loss.item() == pytest.approx(contrast(z, c, far=far.masked(own)).item(), abs=1e-12)


def features(model: SentenceTransformer) -> list[dict]:
    return [model.preprocess([row[name] for row in ROWS]) for name in ("anchor", "positive", "negative")]


@pytest.mark.parametrize("cached", [False, True])
def test_the_loss_of_a_batch_masks_what_the_guide_finds_alike(model, cached) -> None:
    plan = first_stage(prepare)(model, Dataset.from_list(ROWS), Options(phi=0.9, cached=cached))
    model.eval()
    with torch.no_grad():
        found = plan.loss(features(model)).item()
        x, p, n = (model(column)["sentence_embedding"].double() for column in features(model))
    cosines = F.normalize(x, dim=1) @ F.normalize(torch.cat([p, n]), dim=1).T
    own = torch.eye(6, 12).bool()
    out = (cosines > 0.9) & ~own  # the guide is the model before training
    assert out.any()
    assert not out.all(1).any()
    expected = F.cross_entropy((cosines / 0.05).masked_fill(out, -torch.inf), torch.arange(6)).item()
    assert found == pytest.approx(expected, rel=1e-5)

    official = first_stage(prepare)(model, Dataset.from_list(ROWS), Options(phi=0.9, variant="official", cached=cached))
    assert isinstance(official.loss, EntrywiseLoss)
    with torch.no_grad():
        found = official.loss(features(model)).item()
    assert found == pytest.approx(entrywise_of_similarities(cosines, out, 0.05).item(), rel=1e-5)


def test_the_loss_of_the_released_code_is_refused_with_several_processes(model, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="one process"):
        first_stage(prepare)(model, Dataset.from_list(ROWS), Options(variant="official"))


def test_the_guide_is_frozen_without_dropout_and_not_saved(model, tiny_model_folder) -> None:
    before = copy.deepcopy(model).state_dict()
    plan = first_stage(prepare)(model, Dataset.from_list(ROWS), Options(phi=0.9))
    plan.loss.train()
    model.train()
    first, second = plan.loss.guide(features(model)), plan.loss.guide(features(model))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(a.requires_grad for a in first)
    assert not torch.equal(*(model(features(model)[0])["sentence_embedding"] for _ in range(2))), "no dropout to differ"
    optimizer = torch.optim.SGD(plan.loss.parameters(), lr=0.5)
    plan.loss(features(model)).backward()
    optimizer.step()
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in plan.loss.guide.model.state_dict().items())
    assert all(name.startswith("model.") for name in plan.loss.state_dict())

    named = first_stage(prepare)(model, Dataset.from_list(ROWS), Options(guide=str(tiny_model_folder)))
    assert all(torch.equal(v, before[name]) for name, v in named.loss.guide.model.state_dict().items())
    assert first_stage(prepare)(model, Dataset.from_list(ROWS), Options(phi=NO_MASK)).loss.guide is None


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_a_run_writes_a_model_that_others_load(tiny_model_folder, tmp_path, variant) -> None:
    write_jsonl(ROWS, tmp_path / "triplets.jsonl")
    settings = {"max_steps": 3, "batch_size": 4, "learning_rate": 1e-3, "phi": 0.9, "variant": variant}
    run = train("multicsr", tmp_path / "triplets.jsonl", model=tiny_model_folder, out=tmp_path / "run", **settings)
    trained = SentenceTransformer(str(run.folder / "model"), device="cpu")
    start = SentenceTransformer(str(tiny_model_folder), device="cpu")
    assert abs(trained.encode("the cat") - start.encode("the cat")).max() > 1e-4
    assert json.loads((run.folder / "metrics.json").read_text())["steps"] == 3


def test_pairs_without_negatives_train_too(tiny_model_folder, tmp_path) -> None:
    write_jsonl([{"anchor": row["anchor"], "positive": row["positive"]} for row in ROWS], tmp_path / "pairs.jsonl")
    out = tmp_path / "run"
    train("multicsr", tmp_path / "pairs.jsonl", model=tiny_model_folder, out=out, max_steps=1, batch_size=4)
    assert (out / "model").is_dir()
