"""Additions to the Hugging Face trainers: resumable runs, progress, and the state of the loss."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.evaluation import BaseEvaluator
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import BatchSampler, DataLoader
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from nearfar.errors import InputError
from nearfar.kinds._arguments import common_arguments, evaluation_steps
from nearfar.kinds._best import Follow
from nearfar.kinds._processes import is_main_process, processes, wait_for_all
from nearfar.kinds._sampling import Epochs, RunBatches, parts_of
from nearfar.kinds._sharding import WholeWeights
from nearfar.kinds._trainer_files import COMPLETE
from nearfar.kinds._views import DrawnRows
from nearfar.kinds._workers import before_workers, of_worker
from nearfar.kinds.drawn import left_out_note
from nearfar.kinds.kind import Progress, Setting
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import RowViews, Stage
from nearfar.models.adapters import load_trained, save_trained, train_adapters
from nearfar.models.packing import chunks_of
from nearfar.models.views import views_of, write_views

_LOSS_STATE = "loss.safetensors"
#: Maximum gradient norm of recipes without an option for it.
GRADIENT_CLIP = 1.0

logger = logging.getLogger(__name__)


class Resumable:
    """Lets a transformers trainer resume from a checkpoint, also from one at the last step."""

    #: What follows a metric, and whether the model gets the weights that were best by it.
    follow: Follow | None = None
    keeps_best = False

    def train_or_resume(self: Any, checkpoint: Path | None) -> None:
        """Train, from a checkpoint if there is one. A checkpoint of the last step is only loaded."""
        if self.follow is not None and checkpoint is not None:
            self.follow.load(checkpoint)
        self._train_or_load(checkpoint)
        if self.follow is not None and self.keeps_best and self.follow.step:
            self._load_from_checkpoint(str(Path(str(self.args.output_dir), f"checkpoint-{self.follow.step}")))

    def follow_metric(self: Any, options: TrainingOptions, setting: Setting) -> None:
        """Let the metric of a setting decide when to stop, and which weights the model gets."""
        if setting.metric:
            self.follow = Follow(setting.metric, options.early_stopping)
            self.keeps_best = options.checkpoint == "best"
            # Before the callback that marks a checkpoint as complete.
            self.callback_handler.callbacks.insert(0, self.follow)

    def _train_or_load(self: Any, checkpoint: Path | None) -> None:
        if checkpoint is not None:
            state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            # A finished run may have been asked for more steps since.
            whole = state.global_step >= state.max_steps and state.global_step >= self._steps_in_all()
            if whole or (self.follow is not None and self.follow.stopped):
                self.state = state
                self._load_from_checkpoint(str(checkpoint))
                return
        try:
            self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        except (InputError, RuntimeError) as error:
            known = of_worker(error)
            if known is None:
                raise
            raise known from error

    def _steps_in_all(self: Any) -> int:
        return self.set_initial_training_values(self.args, self.get_train_dataloader())[-1]

    def _load_optimizer_and_scheduler(self: Any, checkpoint: str | None) -> None:
        """Load both; where the schedule has become longer, its rate holds, not that of the shorter one's end."""
        trainer: Any = super()
        trainer._load_optimizer_and_scheduler(checkpoint)
        schedule = self.lr_scheduler
        if checkpoint is not None and isinstance(schedule, LambdaLR):
            of_each = zip(self.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True)
            for group, peak, share in of_each:
                group["lr"] = peak * share(schedule.last_epoch)
            schedule._last_lr = [group["lr"] for group in self.optimizer.param_groups]


class SentenceTrainer(Resumable):
    """For sentence-transformers trainers: saves the loss's parameters in checkpoints, and uses our own samplers.

    The library's model card is not made: it quotes training rows, which may be private.
    """

    #: All batches of the run, and what `metrics.json` says of the rows that they draw.
    batches: RunBatches
    drawn: Sequence[dict[str, Any]] = ()
    views: RowViews | None = None
    #: Maximum number of tokens in one forward pass; 0: by device.
    mini_batch_num_tokens = 0

    def get_batch_sampler(self: Any, dataset: Any, *_: Any, **__: Any) -> BatchSampler | None:
        """All batches of the run; of several datasets they are asked for below."""
        return None if isinstance(self.train_dataset, dict) else self.batches

    def get_multi_dataset_batch_sampler(self: Any, dataset: Any, *_: Any, **__: Any) -> BatchSampler:
        """All batches of the run, as numbers of rows that are counted through all datasets."""
        return self.batches

    def get_train_dataloader(self: Any) -> DataLoader:
        """The library's own, or one whose rows are made anew whenever they are drawn."""
        before_workers(self.args.dataloader_num_workers)
        if self.views is None:
            trainer: Any = super()
            return trainer.get_train_dataloader()
        self.accelerator.even_batches = False
        loader = DataLoader(
            DrawnRows(self.train_dataset, self.views, self.args.seed),
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        self._train_dataloader = self.accelerator.prepare(loader)
        return self._train_dataloader

    def compute_loss(self: Any, model: Any, *arguments: Any, **options: Any) -> Any:
        """The library's own; with several processes and towers, every weight gets a gradient, if only 0."""
        trainer: Any = super()
        with chunks_of(self.mini_batch_num_tokens) as asked:
            loss = trainer.compute_loss(model, *arguments, **options)
        if asked.tokens and not asked.used and self.state.global_step == 0:
            logger.warning("mini_batch_num_tokens has no effect: the loss of this recipe does not divide its batches")
        if self.args.ddp_find_unused_parameters is False and model.training:
            loss = loss + 0 * sum(weight.sum() for weight in model.parameters() if weight.requires_grad)
        return loss

    def add_model_card_callback(self: Any, *_: Any) -> None:
        """Collect no rows for a card."""

    def _save(self: Any, output_dir: str | None = None, state_dict: Any = None) -> None:
        trainer: Any = super()
        # The trainer itself has no option for either.
        if views_of(self.model):
            self.model.save_pretrained = lambda folder, **_: write_views(self.model, Path(folder))
        else:
            self.model.save_pretrained = partial(self.model.save_pretrained, create_model_card=False)
        try:
            trainer._save(output_dir, state_dict)
        finally:
            del self.model.save_pretrained
        save_trained(self.model, Path(output_dir or str(self.args.output_dir)))
        save_loss(self.loss, output_dir or str(self.args.output_dir))

    def _load_from_checkpoint(self: Any, checkpoint_path: str) -> None:
        trainer: Any = super()
        if not load_trained(self.model, Path(checkpoint_path)):
            trainer._load_from_checkpoint(checkpoint_path)
        load_loss(self.loss, checkpoint_path)


def sentence_trainer(
    trainer_class: Any,
    arguments_class: Any,
    model: Any,
    stage: Stage,
    options: TrainingOptions,
    setting: Setting,
    **arguments: Any,
) -> Any:
    """A sentence-transformers trainer before its first step, with what `SentenceTrainer` adds.

    Args:
        trainer_class, arguments_class: The host library's classes for this model.
        model: A model of the host library; trained in place.
        stage: The stage to train.
        options: The training options.
        setting: Where and how to train.
        **arguments: Further arguments of `arguments_class`.
    """
    epochs = Epochs(
        parts_of(stage, options), setting.seed, processes=processes(), accumulation=options.gradient_accumulation
    )
    batches = RunBatches(epochs, epochs.rounds(options, setting.rows), with_epoch=stage.views is not None)
    drawn = epochs.described(batches.rounds)
    say_left_out(drawn)
    train_adapters(model)
    device = model.device.type
    rates = {names: factor * options.learning_rate for names, factor in (stage.learning_rates or {}).items()}
    own = {
        **common_arguments(options, setting, steps=batches.steps, gpu=device == "cuda"),
        "learning_rate_mapping": rates,
        "max_grad_norm": getattr(options, "gradient_clip", GRADIENT_CLIP),
        "use_cpu": device == "cpu",
        # Otherwise sentence-transformers sets it with a warning; the batches of the run are whole in any case.
        "dataloader_drop_last": processes() > 1,
        **arguments,
    }
    asked = arguments_class(**{**own, **setting.arguments})
    measured = setting.measure if evaluation_steps(options, setting, batches.steps) else None
    made: Any = type("Trainer", (SentenceTrainer, trainer_class), {})
    trainer = made(
        model,
        asked,
        stage.rows,
        loss=dict(stage.loss) if isinstance(stage.loss, Mapping) else stage.loss,
        evaluator=None if measured is None else Measured(measured),
        callbacks=[CountEpochs(batches), *callbacks_of(setting)],
    )
    trainer.follow_metric(options, setting)
    trainer.mini_batch_num_tokens = options.mini_batch_num_tokens
    trainer.batches, trainer.drawn, trainer.views = batches, drawn, stage.views
    quiet(trainer)
    return trainer


def say_left_out(drawn: Sequence[Mapping[str, Any]]) -> None:
    """A note on rows that are not trained on."""
    if is_main_process():
        for note in filter(None, map(left_out_note, drawn)):
            logger.warning("%s", note)


def save_loss(loss: Any, folder: str) -> None:
    """Save a loss's own parameters and buffers (a learned temperature, a head) in a checkpoint, next to the weights."""
    state: dict[str, torch.Tensor] = {}
    seen = set()
    for prefix, each in _by_prefix(loss):
        # The model comes first: what shares its weights, such as an output tied to token embeddings, is saved there.
        for key, value in sorted(each.state_dict().items(), key=lambda item: not item[0].startswith("model.")):
            place = (value.data_ptr(), value.shape)
            if not key.startswith("model.") and (place not in seen or not value.numel()):
                state[prefix + key] = value.detach().cpu().contiguous()
            seen.add(place)
    if state:
        save_file(state, os.path.join(folder, _LOSS_STATE))


def load_loss(loss: Any, folder: str) -> None:
    """Load what `save_loss` saved, if there is anything."""
    path = Path(folder) / _LOSS_STATE
    if path.exists():
        state = load_file(path)
        for prefix, each in _by_prefix(loss):
            mine = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            each.load_state_dict(mine, strict=False)


def _by_prefix(loss: Any) -> list[tuple[str, torch.nn.Module]]:
    """Each loss, with the prefix of its parameters' names in a checkpoint."""
    return [(f"{name}/", each) for name, each in loss.items()] if isinstance(loss, dict) else [("", loss)]


class Measured(BaseEvaluator):
    """Evaluates on held-out data during training, for the curve in the report."""

    def __init__(self, measure: Callable[[], Mapping[str, float]]) -> None:
        super().__init__()
        self.measure = measure

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        """The primary metric, by name."""
        return dict(self.measure())


def callbacks_of(setting: Setting) -> list[TrainerCallback]:
    """The callbacks of every trainer."""
    return [WholeWeights(), MarkComplete(), *([] if setting.progress is None else [ProgressCallback(setting.progress)])]


def quiet(trainer: Any) -> None:
    """Turn off the trainer's own progress output: nearfar shows progress itself."""
    trainer.remove_callback(PrinterCallback)


class CountEpochs(TrainerCallback):
    """Tells the trainer's log how many epochs are done: the trainer itself takes a run for a single one."""

    def __init__(self, batches: RunBatches) -> None:
        self.batches = batches

    def on_step_begin(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        """Called by the trainer before each optimiser step."""
        done = self.batches.epochs_after(state.global_step) if state.global_step else 0.5
        if done == int(done):
            # What a data loader draws when it starts anew, so that dropout is as it was where each epoch had its own.
            torch.empty((), dtype=torch.int64).random_()

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        """Called by the trainer after each optimiser step."""
        state.epoch = self.batches.epochs_after(state.global_step)


class MarkComplete(TrainerCallback):
    """Marks a checkpoint as complete."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer after everything else has been written."""
        wait_for_all()  # each process writes the state of its random numbers
        if state.is_world_process_zero:
            Path(str(args.output_dir), f"checkpoint-{state.global_step}", COMPLETE).touch()


class ProgressCallback(TrainerCallback):
    """Reports the progress of training: step, number of steps, latest loss."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.loss, self.last = progress, None, 0.0

    def on_log(
        self, args: Any, state: TrainerState, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Called by the trainer with new values."""
        self.loss = (logs or {}).get("loss", self.loss)

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        """Called by the trainer after each optimiser step."""
        now = time.monotonic()
        if state.is_world_process_zero and (now - self.last > 0.2 or state.global_step == state.max_steps):
            self.last = now
            self.progress(state.global_step, state.max_steps, self.loss)
