"""The paper's statements on worked numbers; the recipe's four losses; the sweep."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar import contrast, far
from nearfar.comparison.sweep import temperature_sweep
from nearfar.data import write_jsonl
from nearfar.engines.linear import Linear
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.losses import ContrastLoss
from nearfar.recipes import behaviour
from plans import first_stage

# One anchor's similarities, the positive first.
S = torch.tensor([[0.9, 0.7, 0.2, -0.3]], dtype=torch.float64)
LOW = torch.tensor([[0.5, 0.7, 0.2, -0.3]], dtype=torch.float64)
TABLE = {
    0.07: (0.05588688, [-0.776484, 0.775870, 0.000613, 0.000000]),
    0.2: (0.33686900, [-1.429988, 1.313334, 0.107805, 0.008849]),
    0.5: (0.69695739, [-1.003803, 0.667771, 0.245659, 0.090373]),
    1.0: (0.96184147, [-0.617812, 0.312909, 0.189789, 0.115113]),
}


def loss(s: torch.Tensor, temperature: float, builder: far.Far | None = None, **options: Any) -> torch.Tensor:
    eye = torch.eye(s.shape[1], dtype=s.dtype)
    return contrast(s, eye, far=builder, temperature=temperature, similarity="dot", **options)


@pytest.mark.parametrize("engine", ["dense", "streaming"])
@pytest.mark.parametrize("temperature", TABLE)
def test_loss_and_gradient_of_the_worked_row(temperature: float, engine: str) -> None:
    s = S.clone().requires_grad_()
    value = loss(s, temperature, engine=engine)
    (gradient,) = torch.autograd.grad(value, s)
    expected, slopes = TABLE[temperature]
    assert float(value.detach()) == pytest.approx(expected, abs=1e-8)
    assert gradient[0].tolist() == pytest.approx(slopes, abs=1e-6)
    assert abs(float(gradient.sum())) < 1e-10


def test_cold_is_the_triplet_loss_of_the_hardest_negative() -> None:
    for builder in (None, far.hardest(0.01)):
        found = {tau: tau * float(loss(LOW, tau, builder)) for tau in (0.1, 0.05, 0.01)}
        assert found[0.01] == pytest.approx(0.2, abs=1e-9)
        if builder is None:
            assert found == pytest.approx({0.1: 0.213288, 0.05: 0.200910, 0.01: 0.2}, abs=1e-6)
        assert 0.01 * float(loss(S, 0.01, builder)) == pytest.approx(0, abs=1e-9)


def test_hot_is_linear_up_to_the_variance() -> None:
    assert float(S.var(correction=0)) / 2 == pytest.approx(0.1084375)
    for tau, expected in ((1.0, 0.100547), (10.0, 0.107852), (1000.0, 0.108432)):
        # N = 4: the linear part is log N - s_ii (N - 1) / (N tau) + sum of the others / (N tau).
        linear = math.log(4) + float(loss(S, tau, engine=Linear())) / tau
        assert tau**2 * (float(loss(S, tau)) - linear) == pytest.approx(expected, abs=1e-6)
    # With the mean over negatives alone it is the simple loss: N / (N - 1) times as much.
    simple = float(loss(S, 1.0, far.except_self(), engine=Linear()))
    assert simple == pytest.approx(-0.9 + 0.6 / 3, rel=1e-12)
    assert 1e4 * (float(loss(S, 1e4)) - math.log(4)) * 4 / 3 == pytest.approx(simple, abs=1e-4)


def test_hard_keeps_the_upper_quantile() -> None:
    for alpha, expected in ((1.0, 0.336868998), (0.67, 0.335097596), (0.33, 0.313261688)):
        s = S.clone().requires_grad_()
        value = loss(s, 0.2, far.hardest(alpha), engine="dense")
        (gradient,) = torch.autograd.grad(value, s)
        assert float(value.detach()) == pytest.approx(expected, abs=1e-9)
        assert (float(gradient[0, 3]) == 0) is (alpha < 1)
        assert float(gradient[0, 0]) < 0
    # No negative at all.
    assert float(loss(S[:, :1], 0.2, far.hardest(0.5))) == 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_hard_is_never_above_plain_and_equals_it_at_one(symmetric: bool) -> None:
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(12, 5, generator=g, dtype=torch.float64) for _ in range(2))
    plain = contrast(a, b, temperature=0.2, symmetric=symmetric, reduction="none")
    found = [
        contrast(a, b, far=far.hardest(alpha), temperature=0.2, symmetric=symmetric, reduction="none")
        for alpha in (1.0, 0.6, 0.3, 0.1)
    ]
    torch.testing.assert_close(found[0], plain)
    for looser, tighter in itertools.pairwise(found):
        assert (tighter <= looser + 1e-12).all()
        assert (tighter < looser).any()


def test_order_and_number_of_far_candidates_do_not_matter() -> None:
    more = torch.cat([S, torch.full((1, 3), -60.0, dtype=torch.float64)], 1)
    for tau in (0.1, 1.0):
        assert float(loss(S[:, [0, 3, 1, 2]], tau)) == pytest.approx(float(loss(S, tau)), rel=1e-12)
        assert float(loss(more, tau)) == pytest.approx(float(loss(S, tau)), rel=1e-12)


# The recipe.

PAIRS = Dataset.from_dict(
    {"anchor": [f"the cat sits on mat {i}" for i in range(9)], "positive": [f"cat on a mat {i}" for i in range(9)]}
)


@pytest.mark.parametrize("name", ["contrastive", "hard", "simple", "hard_simple"])
def test_the_four_losses(name: str, tiny_model_folder: Path) -> None:
    model = nearfar.load(tiny_model_folder, device="cpu")
    options = behaviour.Options(loss=name, temperature=0.2, alpha=0.3)  # type: ignore[arg-type]
    plan = first_stage(behaviour.prepare)(model, PAIRS, options)
    assert isinstance(plan.loss, ContrastLoss)
    g = torch.Generator().manual_seed(2)
    a, b = (torch.nn.functional.normalize(torch.randn(9, 5, generator=g).double()) for _ in range(2))
    s, n = a @ b.T, 9
    expected = 0.0
    for i in range(n):
        negatives = sorted((float(s[i, j]) for j in range(n) if j != i), reverse=True)
        kept = negatives[:2] if name.startswith("hard") else negatives  # round(0.3 * 8)
        if name.endswith("simple"):
            expected += sum(kept) / len(kept) - float(s[i, i])
        else:
            z = sum(math.exp(x / 0.2) for x in [float(s[i, i]), *kept])
            expected += math.log(z) - float(s[i, i]) / 0.2
    got = plan.loss.loss_of_vectors([a, b], None, None, plan.loss.temperature)
    assert float(got) == pytest.approx(expected / n, rel=1e-9)


def test_sentences_are_seen_twice_through_dropout(tiny_model_folder: Path) -> None:
    model = nearfar.load(tiny_model_folder, device="cpu")
    plan = first_stage(behaviour.prepare)(
        model, Dataset.from_dict({"text": ["cat", "dog"]}), behaviour.Options(dropout=0.25)
    )
    assert plan.rows.to_dict() == {"anchor": ["cat", "dog"], "positive": ["cat", "dog"]}
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.25}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": "0"}, "alpha: invalid value 0.0"),
        ({"alpha": "1.2"}, "alpha: invalid value 1.2"),
        ({"loss": "triplet"}, "loss: invalid value 'triplet'; choose from contrastive, hard, simple, hard_simple"),
        ({"temperature": "0"}, "temperature: invalid value 0.0"),
    ],
)
def test_options_that_do_not_fit(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_settings(behaviour.Options(), settings)


WORDS = ("green grass", "blue sky", "warm sun", "cold snow", "loud band", "quiet music", "bank loan", "lost card")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("behaviour")
    rows = [{"text": f"the {words} {i}", "label": f"l{k // 2}"} for k, words in enumerate(WORDS) for i in range(3)]
    write_jsonl(rows, folder / "labelled.jsonl")
    return folder


#: A line of a sweep.
HARD = {"hard": {"loss": "hard"}}
SMALL = {"batch_size": 8, "max_steps": 2, "learning_rate": 1e-3}


def test_it_trains_on_labelled_texts_without_their_labels(files: Path, tiny_model_folder: Path) -> None:
    for options in ({"loss": "hard"}, {"loss": "hard_simple", "cached": True}):
        out = files / f"run-{options['loss']}"
        run = nearfar.train("behaviour", files / "labelled.jsonl", model=tiny_model_folder, out=out, **SMALL, **options)
        assert math.isfinite(run.metrics["last_loss"])
        trained = SentenceTransformer(str(out / "model"), device="cpu")
        before = nearfar.load(tiny_model_folder, device="cpu")
        assert abs(trained.encode("cat") - before.encode("cat")).max() > 1e-5


def test_a_sweep_measures_every_temperature_and_goes_on(
    files: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = files / "labelled.jsonl", files / "sweep"
    arguments = {"temperatures": (0.1, 1), "model": tiny_model_folder, "out": out, **SMALL}
    found = temperature_sweep("behaviour", data, data, HARD, **arguments)
    assert [(run.name, run.temperature) for run in found] == [("hard", 0.1), ("hard", 1.0)]
    for run, folder in zip(found, ("hard-0.1", "hard-1"), strict=True):
        metrics = json.loads((out / folder / "metrics.json").read_text())
        assert run.accuracy == metrics["after"]["metrics"]["accuracy_logistic"]
        model = SentenceTransformer(str(out / folder / "model"), device="cpu")
        rows = nearfar.data.load(data)
        vectors = model.encode(list(rows["text"]))
        assert run.uniformity == pytest.approx(nearfar.geometry.uniformity(vectors), rel=1e-4)
        assert run.tolerance == pytest.approx(nearfar.geometry.tolerance(vectors, list(rows["label"])), rel=1e-4)
    page = (out / "report.html").read_text()
    assert page.count("<svg") >= 3
    assert "one seed" in page
    (out / "report.html").unlink()
    assert temperature_sweep("behaviour", data, data, HARD, resume=True, **arguments) == found
    assert (out / "report.html").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperatures": ()}, "at least one temperature"),
        ({"temperatures": (0.1, -1)}, "temperature: invalid value -1.0"),
        ({"variants": {"a": {"loss": "hard"}, "b": {"loss": "triplet"}}}, "invalid value 'triplet'"),
        ({"evaluation": PAIRS}, "expected labelled texts"),
        ({"epoch": 3}, "did you mean epochs"),
    ],
)
def test_a_sweep_refuses_before_it_trains(change: dict[str, Any], message: str, files: Path, tmp_path: Path) -> None:
    arguments = {"data": files / "labelled.jsonl", "evaluation": files / "labelled.jsonl", "model": "no such model"}
    with pytest.raises(InputError, match=message):
        temperature_sweep("behaviour", **{**arguments, "out": tmp_path / "out", **change})
    assert not (tmp_path / "out").exists()
