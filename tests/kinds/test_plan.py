"""A plan's stages, and how steps are shared among them."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Plan, RowViews, Stage, staged_options


def stage() -> Stage:
    return Stage(None, torch.nn.Identity())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "stages", "shared"),
    [(7, 1, [7]), (7, 2, [4, 3]), (8, 3, [3, 3, 2]), (9, 3, [3, 3, 3]), (3, 3, [1, 1, 1]), (10, 4, [3, 3, 2, 2])],
)
def test_the_first_stages_take_what_is_left_over(steps: int, stages: int, shared: list[int]) -> None:
    options = TrainingOptions(max_steps=steps, batch_size=7)
    found = staged_options(options, Plan(None, iter([]), count=stages))
    assert [each.max_steps for each in found] == shared
    assert sum(shared) == steps
    assert {each.batch_size for each in found} == {7}


def test_with_epochs_each_stage_has_the_same_options() -> None:
    options = TrainingOptions(epochs=2)
    assert staged_options(options, Plan(None, [stage(), stage()])) == [options, options]


def test_fewer_steps_than_stages() -> None:
    with pytest.raises(InputError) as caught:
        staged_options(TrainingOptions(max_steps=2), Plan(None, iter([]), count=3))
    assert caught.value.field == "max_steps"


def test_one_stage_several_or_a_generator() -> None:
    one = stage()
    plan = Plan(None, one)
    assert (plan.count, list(plan)) == (1, [one])
    assert Plan(None, [stage(), stage()]).count == 2
    assert Plan(None, (stage(),), count=5).count == 1  # what is counted is what is there
    assert Plan(None, iter([one]), count=1).count == 1
    for stages, count in ((iter([one]), None), (iter([one]), 0), ([], None)):
        with pytest.raises(ValueError, match="stage"):
            Plan(None, stages, count)


def test_views_are_of_one_dataset() -> None:
    from datasets import Dataset, DatasetDict

    rows = Dataset.from_dict({"text": ["a"]})
    views = RowViews(lambda row, rng: row, {"text": "text"})
    assert Stage(rows, torch.nn.Identity(), views=views).views is views
    with pytest.raises(ValueError, match="one dataset"):
        Stage(DatasetDict({"a": rows, "b": rows}), torch.nn.Identity(), views=views)
