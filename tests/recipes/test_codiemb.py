"""A loss and batches for each dataset, and training on both tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.losses.graded import GradedSimilarityLoss, GradedWeights, MultiPositiveLoss
from nearfar.models import load
from nearfar.recipes import codiemb
from nearfar.training.run import train
from plans import first_stage


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
    with pytest.raises(InputError, match=r"^pearson: .* rank_kl"):
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
