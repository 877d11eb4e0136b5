"""DebCSE-style sampling as a recipe."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from transformers import set_seed

import nearfar
from nearfar import near
from nearfar.errors import InputError
from nearfar.recipes import debcse
from nearfar.training.run import train
from plans import first_stage

TEXTS = [
    f"the {colour} {animal} {verb}"
    for colour, animal, verb in itertools.product(
        ("red", "blue", "green", "quiet"), ("cat", "dog", "fish", "bird"), ("sits", "runs", "flies", "swims")
    )
]
SMALL = {"positives": 4, "negatives": 20, "random_negatives": 4, "t_fn": 0.999}


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_model_folder), device="cpu")


def prepared(model: SentenceTransformer, seed: int = 0, **options) -> dict:
    set_seed(seed)
    return first_stage(debcse.prepare)(
        model, Dataset.from_dict({"text": TEXTS}), debcse.Options(**SMALL, **options)
    ).rows.to_dict()


def test_weights_pull_like_the_mean_of_single_positives() -> None:
    """P = q+ is the expectation over draws from q+, the denominator being the same."""
    g = torch.Generator().manual_seed(0)
    anchors, candidates = torch.randn(3, 8, generator=g).double(), torch.randn(7, 8, generator=g).double()
    q = torch.softmax(torch.randn(3, 7, generator=g).double(), 1)

    def loss(p: torch.Tensor) -> torch.Tensor:
        return nearfar.contrast(anchors, candidates, near.weights(p), reduction="none", engine="dense")

    single = [loss(torch.nn.functional.one_hot(torch.full((3,), j), 7).double()) for j in range(7)]
    assert (loss(q) - sum(q[:, j] * single[j] for j in range(7))).abs().max() < 1e-12


def test_the_same_seed_draws_the_same_pairs(model) -> None:
    first, again, other = prepared(model), prepared(model), prepared(model, seed=1)
    assert first == again
    assert first != other
    assert first["anchor"] == TEXTS
    assert all(row[0] != row[2] != row[1] for row in zip(*first.values(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_inverse_propensity_moves_positives_away_from_shared_words_and_negatives_towards_them(model) -> None:
    def shared(columns: dict, column: str) -> float:
        common = [len({*a.split()} & {*b.split()}) for a, b in zip(columns["anchor"], columns[column], strict=True)]
        return sum(common) / len(common)

    by_propensity = prepared(model, draws=20)
    by_meaning = prepared(model, draws=20, b=0.0, b_negative=0.0)
    assert len(by_meaning["anchor"]) == 20 * len(TEXTS)
    assert shared(by_propensity, "positive") < shared(by_meaning, "positive") - 0.1
    assert shared(by_propensity, "negative") > shared(by_meaning, "negative") + 0.1


def test_a_named_teacher_says_what_is_near(model, tiny_model_folder, tmp_path) -> None:
    other = SentenceTransformer(str(tiny_model_folder), device="cpu")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter))
    other.save_pretrained(str(tmp_path / "teacher"))
    assert prepared(model, teacher=str(tmp_path / "teacher")) != prepared(model)
    assert prepared(model, teacher=str(tiny_model_folder)) == prepared(model)


@pytest.mark.parametrize(
    ("option", "value"),
    [("clip", 0.0), ("a", -1.0), ("b_negative", float("nan")), ("t_fn", 1.5), ("positives", -1), ("hard_negatives", 0)],
)
def test_options_out_of_range(option, value) -> None:
    with pytest.raises(InputError, match=f"^{option}: invalid value {value}"):
        debcse.Options(**{option: value})


def test_no_negatives_left_is_said_before_anything_is_written(tiny_model_folder, tmp_path) -> None:
    with pytest.raises(InputError, match=r"text: .*\(1\).*t_fn"):
        train("debcse", Dataset.from_dict({"text": TEXTS}), model=tiny_model_folder, out=tmp_path / "run", t_fn=0.001)
    assert not (tmp_path / "run").exists()


def test_two_rounds_from_rows_to_a_model_that_loads(tiny_model_folder, tmp_path) -> None:
    run = train(
        "debcse",
        Dataset.from_dict({"text": TEXTS}),
        model=tiny_model_folder,
        out=tmp_path / "run",
        rounds=2,
        hard_negatives=2,
        surface="levenshtein",
        max_steps=4,
        batch_size=4,
        learning_rate=1e-3,
        **SMALL,
    )
    loaded = SentenceTransformer(str(run.folder / "model"), device="cpu")
    before = SentenceTransformer(str(tiny_model_folder), device="cpu").encode(TEXTS[:3])
    assert loaded.encode(TEXTS[:3]) == pytest.approx(run.model.encode(TEXTS[:3]), abs=1e-6)
    assert abs(loaded.encode(TEXTS[:3]) - before).max() > 1e-4
