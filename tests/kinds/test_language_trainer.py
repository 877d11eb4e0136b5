"""The language models' trainer: schedule, optimiser, batches and speed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import nn

from nearfar.errors import InputError
from nearfar.kinds import _language_trainer
from nearfar.kinds._language_trainer import Clock, as_batch, check_rows, language_trainer, speed
from nearfar.kinds.kind import Setting
from nearfar.kinds.options import LanguageOptions
from nearfar.kinds.plan import Stage
from nearfar.losses.language import LanguageLoss
from nearfar.models.new_language import new_llama

BLOCKS = Dataset.from_dict({"input_ids": [[3 + (i + j) % 90 for j in range(8)] for i in range(16)]}).with_format(
    "torch"
)


class Own(LanguageLoss):
    """A loss with a parameter of its own, at rest."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, model: Any, batch: Any) -> Any:
        return super().forward(model, batch) + 0 * self.scale


def trainer_of(folder: Path, loss: Any = None, **options: Any) -> Any:
    torch.manual_seed(0)
    model = new_llama(100, hidden_size=8, layers=1, heads=2, positions=8)
    chosen = LanguageOptions(**{"batch_size": 4, "max_length": 8, "max_steps": 10, "learning_rate": 1.0, **options})
    return language_trainer(model, Stage(BLOCKS, loss or LanguageLoss()), BLOCKS, as_batch, chosen, Setting(folder, 0))


def rates(trainer: Any) -> list[float]:
    """The learning rate before each of ten steps, and after them."""
    trainer.create_optimizer_and_scheduler(10)
    found = []
    for _ in range(10):
        found.append(trainer.lr_scheduler.get_last_lr()[0])
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    return [*found, trainer.lr_scheduler.get_last_lr()[0]]


def test_cosine_falls_to_a_tenth_of_the_peak_and_linear_to_nothing(tmp_path: Path) -> None:
    cosine = rates(trainer_of(tmp_path, warmup_ratio=0.2))
    assert cosine[:3] == pytest.approx([0.0, 0.5, 1.0])
    assert cosine[6] == pytest.approx(0.1 + 0.9 * 0.5)  # halfway down
    assert cosine[-1] == pytest.approx(0.1)
    linear = rates(trainer_of(tmp_path, warmup_ratio=0.2, schedule="linear"))
    assert linear[:3] == pytest.approx([0.0, 0.5, 1.0])
    assert linear[6] == pytest.approx(0.5)
    assert linear[-1] == pytest.approx(0.0)


def test_the_optimiser_is_the_one_that_the_options_say(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, Own(), beta2=0.75, gradient_clip=0.125, weight_decay=0.5)
    trainer.create_optimizer()
    groups = trainer.optimizer.param_groups
    assert {group["betas"][1] for group in groups} == {0.75}
    assert trainer.args.max_grad_norm == 0.125
    # The loss's own parameters are trained too, and do not decay.
    (own,) = (group for group in groups if any(each is trainer.objective.scale for each in group["params"]))
    assert (own["weight_decay"], own["lr"]) == (0.0, 1.0)
    assert any(group["weight_decay"] == 0.5 for group in groups)


def test_tokens_that_are_predicted_are_counted(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    trainer.objective = lambda model, inputs: torch.zeros(())
    trainer.compute_loss(None, {"input_ids": torch.zeros(2, 8, dtype=torch.long)})
    assert trainer.tokens == 16
    trainer.compute_loss(None, {"labels": torch.tensor([[5, 0, -100, -100]]), "input_ids": torch.zeros(9, 9)})
    assert trainer.tokens == 18


@pytest.mark.parametrize(("rows", "enough"), [(11, False), (12, True)])
def test_one_step_is_filled(rows: int, enough: bool) -> None:
    options = LanguageOptions(batch_size=4, gradient_accumulation=3)
    data = Dataset.from_dict({"x": list(range(rows))})
    if enough:
        check_rows(data, options, "blocks")
        return
    with pytest.raises(InputError) as caught:
        check_rows(data, options, "blocks")
    assert caught.value.field == "batch_size"
    assert "12" in str(caught.value)


def test_speed_is_of_the_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(_language_trainer.time, "monotonic", lambda: now[0])
    clock, other = Clock(), Clock()
    for begun, ended in ((10.0, 12.0), (50.0, 52.0)):  # what lies between is a checkpoint or an evaluation
        now[0] = begun
        clock.on_step_begin(None, None, None)  # type: ignore[arg-type]
        now[0] = ended
        clock.on_step_end(None, None, None)  # type: ignore[arg-type]
    trainers: list[Any] = [SimpleNamespace(clock=clock, tokens=30), SimpleNamespace(clock=other, tokens=10)]
    assert speed(trainers) == {"tokens_per_second": 10.0, "seconds": 4.0}
    assert speed(trainers, per_step=128) == {"tokens_per_second": 64.0, "seconds": 4.0}
    assert speed(trainers[1:]) == {"tokens_per_second": None, "seconds": 0.0}


def test_columns_become_tensors_where_they_can() -> None:
    batch = as_batch([
        {"ids": torch.tensor([1, 2]), "ragged": torch.tensor([1]), "score": 0.5, "flag": True, "text": "a"},
        {"ids": torch.tensor([3, 4]), "ragged": torch.tensor([1, 2]), "score": 1, "flag": False, "text": "b"},
    ])  # fmt: skip
    assert batch["ids"].tolist() == [[1, 2], [3, 4]]
    assert [each.tolist() for each in batch["ragged"]] == [[1], [1, 2]]
    assert batch["score"].tolist() == [0.5, 1]
    assert batch["flag"].tolist() == [True, False]
    assert batch["text"] == ["a", "b"]


def test_gradients_of_own_parameters_do_not_add_up_over_the_steps(tmp_path: Path) -> None:
    class Pulled(Own):
        def forward(self, model: Any, batch: Any) -> Any:
            found.append(None if self.scale.grad is None else float(self.scale.grad))
            return LanguageLoss.forward(self, model, batch) + self.scale

    found: list[float | None] = []
    trainer_of(tmp_path, Pulled(), max_steps=3, gradient_accumulation=2).train()
    # A gradient is there only between the two batches of a step.
    assert [bool(each) for each in found] == [False, True] * 3
    assert found[1::2] == pytest.approx([0.5] * 3)
