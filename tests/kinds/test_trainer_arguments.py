"""What the host libraries' trainers are told: how long, how fast, when to save and to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments

from nearfar.kinds._arguments import common_arguments
from nearfar.kinds.kind import Setting
from nearfar.kinds.options import TrainingOptions


def told(steps: int = 200, measure: Any = None, **options: Any) -> dict[str, Any]:
    setting = Setting(Path("checkpoints"), 7, measure)
    return common_arguments(TrainingOptions(**options), setting, steps=steps, gpu=False)


def test_the_steps_that_were_counted_decide_how_long() -> None:
    assert told(30, epochs=2.5)["max_steps"] == 30


@pytest.mark.parametrize(
    ("steps", "options", "save", "log"),
    [(200, {}, 20, 4), (50, {}, 5, 1), (1000, {}, 100, 20), (1000, {"save_steps": 7}, 7, 20), (3, {}, 1, 1)],
)
def test_a_tenth_of_the_run_lies_between_checkpoints(steps: int, options: dict[str, Any], save: int, log: int) -> None:
    found = told(steps, **options)
    assert (found["save_steps"], found["logging_steps"]) == (save, log)
    # The newest may be half-written when the machine dies.
    assert found["save_total_limit"] == 2
    assert found["save_strategy"] == "steps"


@pytest.mark.parametrize(("ratio", "steps"), [(0.0, 0), (0.1, 20), (0.5, 100), (1.0, 200)])
def test_warm_up_is_a_part_of_all_steps(ratio: float, steps: int, tmp_path: Path) -> None:
    """As transformers reads it: a number below 1 is a part, and 1 would be a single step."""
    arguments = TrainingArguments(**{**told(200, warmup_ratio=ratio), "output_dir": str(tmp_path)}, use_cpu=True)
    assert arguments.get_warmup_steps(200) == steps


def test_options_reach_the_trainer() -> None:
    found = told(batch_size=6, learning_rate=0.5, weight_decay=0.25, gradient_accumulation=3, precision="bfloat16")
    assert found["per_device_train_batch_size"] == 6
    assert found["gradient_accumulation_steps"] == 3
    assert (found["learning_rate"], found["weight_decay"]) == (0.5, 0.25)
    assert (found["bf16"], found["fp16"]) == (True, False)
    assert found["seed"] == 7
    half = told(precision="float16")
    assert (half["bf16"], half["fp16"]) == (False, True)
    full = told()
    assert (full["bf16"], full["fp16"]) == (False, False)


def test_a_metric_is_followed_where_there_is_one_to_follow() -> None:
    followed = told(measure=dict, eval_steps=5)
    assert (followed["eval_strategy"], followed["eval_steps"]) == ("steps", 5)
    assert told(measure=dict)["eval_strategy"] == "no"
    assert told(eval_steps=5)["eval_strategy"] == "no"
