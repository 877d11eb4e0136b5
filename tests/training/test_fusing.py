"""The weight of a fusion that is chosen by gain and loss: the rule, and the model that is written."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.evaluation.result import Result
from nearfar.models import load
from nearfar.training.forgetting import GeneralSet
from nearfar.training.fusing import Line, choose, fuse_within, measure_line
from nearfar.training.fusing_page import verdict

ITEMS = 400
NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "song", "card")


def result(change: float, spread: float = 0.02) -> Result:
    """A result that differs from the base by `change` on average, and by item."""
    values = 0.5 + change + spread * np.random.default_rng(0).standard_normal(ITEMS) * (change != 0)
    return Result("retrieval", "ndcg@10", {"ndcg@10": float(values.mean())}, ITEMS, per_item={"ndcg@10": values})


def line(gains: dict[float, float], losses: dict[float, float]) -> Line:
    return Line(*({0.0: result(0), **{w: result(x) for w, x in of.items()}} for of in (gains, losses)))


GAINS = {0.25: 0.05, 0.5: 0.1, 0.75: 0.15, 1.0: 0.2}


def test_the_largest_gain_within_the_limit() -> None:
    losses = {0.25: -0.005, 0.5: -0.01, 0.75: -0.04, 1.0: -0.1}
    found = choose(line(GAINS, losses), 0.02)
    assert found.weight == 0.5
    assert found.allowed == (0.25, 0.5)
    assert [each.weight for each in found.measured] == list(GAINS)
    assert list(found.reported) == [0.5, 1.0]
    assert choose(line(GAINS, losses), 0.2).weight == 1.0
    # A gain that shrinks again.
    assert choose(line({**GAINS, 0.5: 0.01}, losses), 0.02).weight == 0.25


def test_a_higher_limit_is_advised_only_where_it_helps() -> None:
    def says(gains: dict[float, float], losses: dict[float, float]) -> str:
        return verdict(choose(line(gains, losses), 0.02))[0]

    worse = {weight: -gain for weight, gain in GAINS.items()}
    little, much = dict.fromkeys(GAINS, -0.001), dict.fromkeys(GAINS, -0.1)
    assert "no weight within the limit gains" in says(worse, little)
    assert "--limit" not in says(worse, little)
    assert "Raise --limit" in says(GAINS, much)
    assert "Raise --limit" in says({**GAINS, 0.25: -0.01}, {**much, 0.25: -0.001})
    assert "--limit" not in says(worse, {**much, 0.25: -0.001})


def test_the_bound_decides_and_not_the_mean() -> None:
    losses = dict.fromkeys(GAINS, -0.0195)
    assert choose(line(GAINS, losses), 0.02).weight is None
    assert choose(line(GAINS, losses), 0.03).weight == 1.0


def test_the_first_weight_that_loses_too_much_ends_the_walk() -> None:
    losses = {0.25: -0.001, 0.5: -0.04, 0.75: -0.001, 1.0: -0.001}
    assert choose(line(GAINS, losses), 0.02).allowed == (0.25,)


def test_without_a_gain_nothing_is_chosen() -> None:
    found = choose(line(dict.fromkeys(GAINS, -0.01), dict.fromkeys(GAINS, -0.001)), 0.02)
    assert found.weight is None
    assert found.allowed == tuple(GAINS)
    assert list(found.reported) == [1.0]


def test_what_is_reported_has_not_chosen() -> None:
    # On one half of the items the tuned model gains, on the other it does not.
    first = choose(line(GAINS, dict.fromkeys(GAINS, -0.001)), 0.02)
    assert first.items == ((200, 200), (200, 200))
    from nearfar.evaluation.parts import halves

    values = np.full(ITEMS, 0.5)
    values[halves(ITEMS)[0]] = 1.0
    half = Result("retrieval", "ndcg@10", {"ndcg@10": 0.75}, ITEMS, per_item={"ndcg@10": values})
    found = choose(Line({0.0: result(0), 1.0: half}, {0.0: result(0), 1.0: result(0)}), 0.02)
    assert found.measured[0].gain.mean == 0.5
    assert found.reported[1.0].gain.mean == 0.0


def test_a_task_without_interval_is_refused() -> None:
    cluster = Result("cluster", "v_measure", {"v_measure": 0.5}, ITEMS)
    with pytest.raises(InputError, match="cluster"):
        choose(Line({0.0: result(0), 1.0: result(0.1)}, {0.0: cluster, 1.0: cluster}), 0.02)


def pairs(start: int, stop: int) -> Dataset:
    nouns = [(a, b) for a in NOUNS for b in NOUNS if a != b][start:stop]
    return Dataset.from_list([{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in nouns])


def shifted(base: Path, out: Path, seed: int) -> Path:
    model, drawn = load(base, device="cpu"), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=drawn)
    model.save_pretrained(str(out))
    return out


@pytest.fixture
def tuned(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return shifted(tiny_model_folder, tmp_path / "tuned", 1)


def scored_by(model: Path) -> Dataset:
    """Pairs with the similarities of a model, on which it is better than any other."""
    rows, encoder = pairs(0, 60), load(model, device="cpu")
    first, second = (encoder.encode(rows[name], normalize_embeddings=True) for name in ("anchor", "positive"))
    return Dataset.from_dict(
        {"sentence1": rows["anchor"], "sentence2": rows["positive"], "score": (first * second).sum(1).tolist()}
    )


def test_the_written_model_is_that_of_the_weight(tiny_model_folder: Path, tuned: Path, tmp_path: Path) -> None:
    out, page, ticks = tmp_path / "out", tmp_path / "page.html", []
    how: dict[str, Any] = {"data": scored_by(tuned), "keep": pairs(60, 90), "weights": (0.5, 1.0)}

    # Every loss is allowed, so that only the gain decides.
    def progress(*tick: int) -> None:
        ticks.append(tick)
        with ThreadPoolExecutor(1) as other, pytest.raises(InputError, match="another process"):
            other.submit(fuse_within, tiny_model_folder, [tuned], out, **how).result()

    found = fuse_within(tiny_model_folder, [tuned], out, limit=1.0, report=page, progress=progress, **how)
    assert ticks == [(0, 2), (1, 2), (2, 2)]
    assert found.allowed == (0.5, 1.0)
    assert found.weight == 1.0
    assert page.exists()
    end, written = (load(each, device="cpu").state_dict() for each in (tuned, out))
    assert all(torch.equal(value, end[name]) for name, value in written.items())
    figures = json.loads((out / "fused.json").read_text("utf-8"))
    assert {name: figures[name] for name in ("weight", "base", "checkpoints")} == {
        "weight": 1.0,
        "base": str(tiny_model_folder),
        "checkpoints": [str(tuned)],
    }


def test_without_a_gain_no_model_is_written(tiny_model_folder: Path, tuned: Path, tmp_path: Path) -> None:
    rows, page = scored_by(tiny_model_folder), tmp_path / "page.html"
    how: dict[str, Any] = {"keep": pairs(60, 90), "weights": (1.0,), "limit": 1.0, "report": page}
    (tmp_path / ".out.999999.part").mkdir()  # of a killed process
    found = fuse_within(tiny_model_folder, [tuned], tmp_path / "out", data=rows, **how)
    assert found.weight is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "tuned"]


def test_several_checkpoints_are_fused_first(tiny_model_folder: Path, tuned: Path, tmp_path: Path) -> None:
    from nearfar.models.fusion import fuse

    other = shifted(tiny_model_folder, tmp_path / "other", 2)
    rows, general = GeneralSet(pairs(0, 60), "rows"), pairs(60, 90)
    whole = fuse(tiny_model_folder, [tuned, other], tmp_path / "whole").folder
    line = measure_line(tiny_model_folder, whole, rows, GeneralSet(general, "general"), weights=(1.0,))
    how: dict[str, Any] = {"data": rows.rows, "keep": general, "weights": (1.0,), "limit": 1.0}
    found = fuse_within(tiny_model_folder, [tuned, other], tmp_path / "out", **how)
    assert found.measured == choose(line, 1.0).measured


def test_bad_arguments(tiny_model_folder: Path, tuned: Path, tmp_path: Path) -> None:
    rows = pairs(0, 20)
    for field, more in (
        ("--limit", {"limit": -0.1}),
        ("--limit", {"limit": float("nan")}),
        ("--weights", {"weights": ()}),
        ("--weights", {"weights": (0.0, 0.5)}),
        ("--weights", {"weights": (0.5, 1.5)}),
    ):
        with pytest.raises(InputError) as raised:
            fuse_within(tiny_model_folder, [tuned], tmp_path / "out", data=rows, **more)
        assert raised.value.field == field
    with pytest.raises(InputError):
        fuse_within(tiny_model_folder, [], tmp_path / "out", data=rows)
    with pytest.raises(InputError, match="exists"):
        fuse_within(tiny_model_folder, [tuned], tuned, data=rows)
    assert not (tmp_path / "out").exists()
