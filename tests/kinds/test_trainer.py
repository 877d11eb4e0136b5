"""What is added to the host libraries' trainers: checkpoints that count, the loss's own state, progress."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file
from torch import nn

from nearfar.kinds import _trainer
from nearfar.kinds._trainer import MarkComplete, ProgressCallback, Resumable, load_loss, save_loss
from nearfar.kinds._trainer_files import COMPLETE
from nearfar.kinds.kind import Setting
from nearfar.kinds.loading import of
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Stage
from nearfar.losses import ContrastLoss
from nearfar.models import load


class Learned(nn.Module):
    """A loss with a parameter and a buffer of its own, beside the model's."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.model = nn.Linear(2, 2)
        self.temperature = nn.Parameter(torch.tensor(value))
        self.register_buffer("seen", torch.tensor(value))


def test_a_losses_own_state_is_kept_and_the_models_is_not(tmp_path: Path) -> None:
    save_loss(Learned(3.0), str(tmp_path))
    (file,) = tmp_path.iterdir()
    assert set(load_file(file)) == {"temperature", "seen"}
    fresh = Learned()
    load_loss(fresh, str(tmp_path))
    assert (float(fresh.temperature.detach()), float(fresh.get_buffer("seen"))) == (3.0, 3.0)


def test_losses_of_several_datasets_are_kept_apart(tmp_path: Path) -> None:
    save_loss({"a": Learned(1.0), "b": Learned(2.0), "c": nn.Identity()}, str(tmp_path))
    fresh = {"a": Learned(), "b": Learned(), "c": nn.Identity()}
    load_loss(fresh, str(tmp_path))
    assert [fresh[name].state_dict()["temperature"].item() for name in "ab"] == [1.0, 2.0]


def test_a_loss_without_state_writes_nothing(tmp_path: Path) -> None:
    save_loss(nn.Identity(), str(tmp_path))
    assert not list(tmp_path.iterdir())
    load_loss(Learned(), str(tmp_path))


class Host:
    """Stands in for a trainer of transformers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []

    args: Any = None

    def get_train_dataloader(self) -> None:
        return None

    def set_initial_training_values(self, args: object, loader: object) -> tuple[int, ...]:
        return 1, 10, 10  # the last are the steps in all

    def train(self, resume_from_checkpoint: str | None = None) -> None:
        self.calls.append(("train", resume_from_checkpoint))

    def _load_from_checkpoint(self, checkpoint: str) -> None:
        self.calls.append(("load", checkpoint))


class Resumed(Resumable, Host):
    """A host that can be resumed."""


@pytest.mark.parametrize(("step", "call"), [(3, "train"), (9, "train"), (10, "load"), (11, "load")])
def test_from_the_last_step_nothing_is_left_but_to_load_it(step: int, call: str, tmp_path: Path) -> None:
    from transformers import TrainerState

    TrainerState(global_step=step, max_steps=10).save_to_json(str(tmp_path / "trainer_state.json"))
    trainer: Any = Resumed()
    trainer.train_or_resume(tmp_path)
    assert trainer.calls == [(call, str(tmp_path))]
    if call == "load":
        assert trainer.state.global_step == step
    fresh: Any = Resumed()
    fresh.train_or_resume(None)
    assert fresh.calls == [("train", None)]


def state(step: int, of: int = 10, main: bool = True) -> Any:
    return SimpleNamespace(global_step=step, max_steps=of, is_world_process_zero=main)


def test_a_checkpoint_is_complete_once_all_else_is_written(tmp_path: Path) -> None:
    for step in (4, 8):
        (tmp_path / f"checkpoint-{step}").mkdir()
    arguments: Any = SimpleNamespace(output_dir=str(tmp_path))
    MarkComplete().on_save(arguments, state(4), None)  # type: ignore[arg-type]
    MarkComplete().on_save(arguments, state(8, main=False), None)  # type: ignore[arg-type]
    assert [path.parent.name for path in tmp_path.rglob(COMPLETE)] == ["checkpoint-4"]


def test_progress_is_shown_now_and_then_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(_trainer.time, "monotonic", lambda: now[0])
    seen: list[tuple[int, int, float | None]] = []
    callback = ProgressCallback(lambda *step: seen.append(step))
    for step, seconds, loss in (
        (1, 100.0, None),
        (2, 100.1, 0.5),
        (3, 100.4, None),
        (4, 100.5, None),
        (10, 100.5, 0.25),
    ):
        now[0] = seconds
        callback.on_log(None, state(step), None, {"loss": loss} if loss is not None else {"learning_rate": 1.0})  # type: ignore[arg-type]
        callback.on_step_end(None, state(step), None)  # type: ignore[arg-type]
    # Not the second and fourth, which follow at once; the last one whenever it comes, with the latest loss.
    assert seen == [(1, 10, None), (3, 10, 0.5), (10, 10, 0.25)]
    callback.on_step_end(None, state(10, main=False), None)  # type: ignore[arg-type]
    assert len(seen) == 3


def rows(count: int) -> Dataset:
    return Dataset.from_dict(
        {"anchor": [f"cat {i}" for i in range(count)], "positive": [f"dog {i}" for i in range(count)]}
    )


def trainer_of(folder: Path, where: Path, stage: Any, measure: Any = None, **options: Any) -> Any:
    model = load(folder, device="cpu")
    return of(model).trainer(stage(model), TrainingOptions(**options), Setting(where, 0, measure))


def test_parameters_may_have_learning_rates_of_their_own(tiny_model_folder: Path, tmp_path: Path) -> None:
    def stage(model: Any) -> Stage:
        return Stage(rows(8), ContrastLoss(model), learning_rates={"embeddings": 0.5})

    trainer = trainer_of(tiny_model_folder, tmp_path, stage, batch_size=4, learning_rate=0.25)
    trainer.create_optimizer()
    rates = {group["lr"] for group in trainer.optimizer.param_groups}
    assert rates == {0.25, 0.125}


def test_a_last_small_batch_takes_no_step(tiny_model_folder: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_model_folder, tmp_path, lambda model: Stage(rows(11), ContrastLoss(model)), batch_size=4)
    trainer.train_or_resume(None)
    assert trainer.state.global_step == 2
    few = trainer_of(
        tiny_model_folder, tmp_path / "few", lambda model: Stage(rows(3), ContrastLoss(model)), batch_size=4
    )
    few.train_or_resume(None)
    assert few.state.global_step == 1


def test_a_metric_is_followed_every_so_many_steps(tiny_model_folder: Path, tmp_path: Path) -> None:
    values = iter([0.25, 0.5, 0.75])

    def stage(model: Any) -> Stage:
        return Stage(DatasetDict(a=rows(8), b=rows(8)), ContrastLoss(model))

    how: dict[str, Any] = {"batch_size": 4, "max_steps": 4}
    trainer = trainer_of(tiny_model_folder, tmp_path, stage, lambda: {"mine": next(values)}, eval_steps=2, **how)
    trainer.train_or_resume(None)
    followed = [(entry["step"], entry["eval_mine"]) for entry in trainer.state.log_history if "eval_mine" in entry]
    assert followed == [(2, 0.25), (4, 0.5)]
    quiet = trainer_of(tiny_model_folder, tmp_path / "quiet", stage, lambda: {"mine": next(values)}, **how)
    quiet.train_or_resume(None)
    assert not any("eval_mine" in entry for entry in quiet.state.log_history)
