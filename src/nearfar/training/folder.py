"""The folder of one run, written so that an interrupted run can be resumed.

model/         the trained model; load it with SentenceTransformer(path)
run.yaml       everything needed to repeat the run
metrics.json   metrics before and after training, and the difference
report.html    the report
SHA256SUMS     the hashes of these files, for `nearfar verify`
checkpoints/   to resume from; a checkpoint is valid when its `complete` file exists. Later stages have subfolders.
               A finished run keeps what further training requires, see `nearfar.training.kept`
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nearfar.errors import InputError
from nearfar.kinds._processes import is_main_process
from nearfar.kinds._trainer_files import COMPLETE
from nearfar.models.sums import write_sums
from nearfar.training.kept import is_without_weights, restored
from nearfar.writing import LOCK, replace_folder, settled, write_text

_logger = logging.getLogger(__name__)

#: What `SHA256SUMS` records.
RECORDED = ("model", "run.yaml", "metrics.json", "report.html")
#: Key of the tasks among the changed options, and value of `Plan.grows`.
STREAM = "stream"


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder, and atomic writing of its files."""

    path: Path

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints to resume from."""
        return self.path / "checkpoints"

    def checkpoints_of(self, stage: int) -> Path:
        """Checkpoints of one stage, counted from 1."""
        return self.checkpoints if stage == 1 else self.checkpoints / f"stage-{stage}"

    @property
    def metrics(self) -> Path:
        """The metrics; the file exists when the run is finished."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def configuration(self) -> Path:
        """The settings."""
        return self.path / "run.yaml"

    def check(
        self, configuration: Mapping[str, Any], resume: bool, defaults: Mapping[str, Any] | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Check that the folder is free for a run, or that the run in it is the one to resume.

        Args:
            configuration: The settings of the run.
            resume: Whether the folder must contain one to resume.
            defaults: The default of each option: what a run of an earlier version had for an option that is new.

        Returns:
            Changed options of a finished run, and under `stream` its tasks if there are more now; its plan decides
            whether it can be trained further.

        Raises:
            InputError: The folder contains something else, or a run with other settings.
        """
        self.check_free(resume)
        return self._changed(configuration, defaults or {}) if self.configuration.exists() and is_main_process() else {}

    def check_free(self, resume: bool) -> None:
        """The part of `check` that needs no configuration, for an early check."""
        if not is_main_process():
            return  # the main process may have claimed the folder already
        check_free(self.configuration, "run", resume)

    def start(self, configuration: Mapping[str, Any]) -> None:
        """Claim the folder for a run; a run to resume keeps its original settings."""
        if self.configuration.exists() or not is_main_process():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True), self.configuration)

    @contextmanager
    def cleared_if_refused(self, resume: bool) -> Iterator[None]:
        """If a new run's input is refused before its first checkpoint, the folder can be used again."""
        try:
            yield
        except InputError:
            if not resume and is_main_process() and self.last_checkpoint() is None:
                self.configuration.unlink(missing_ok=True)
                shutil.rmtree(self.checkpoints, ignore_errors=True)
            raise

    def lengthen(self, configuration: Mapping[str, Any], changed: Mapping[str, tuple[Any, Any]]) -> None:
        """Reopen a finished run with changed options. The earlier ones are recorded."""
        there = read_configuration(self.configuration)
        before: dict[str, Any] = {"steps": sum(self.finished_steps())}
        before["options"] = {name: was for name, (was, _) in changed.items() if name != STREAM}
        if STREAM in changed:
            before["tasks"] = changed[STREAM][0]
        now = {**configuration, "lengthened": [*(there.get("lengthened") or ()), before]}
        write_text(yaml.safe_dump(now, sort_keys=False, allow_unicode=True), self.configuration)
        self.metrics.unlink()

    def finished_steps(self) -> list[int]:
        """Steps of each stage of a finished run."""
        metrics = json.loads(self.metrics.read_text("utf-8"))
        return [stage["steps"] for stage in metrics.get("stages", ())] or [metrics["steps"]]

    def _changed(self, configuration: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        there, changed = {"processes": 1, **read_configuration(self.configuration)}, {}
        configuration = {"processes": 1, **configuration}
        for each in (there, configuration):
            if isinstance(each.get("options"), dict):
                options = {**defaults, **each["options"]}
                each["options"] = {name: value for name, value in options.items() if name not in WITHOUT_EFFECT}
        tasks = _tasks_added(there.get("data"), configuration.get("data")) if self.metrics.exists() else None
        if tasks is not None:
            changed[STREAM] = tasks
        for key in _DECIDING:
            if tasks is not None and key in _OF_TASKS:
                continue
            if key == _HELD_OUT and key not in there:
                continue  # a run of an earlier version
            for field, was, now in differences(key, there.get(key), configuration.get(key)):
                if key == _HELD_OUT:
                    raise otherwise(self.configuration, field, was, now, of=str(there.get("evaluation")))
                if key != "options" or not self.metrics.exists():
                    raise otherwise(self.configuration, field, was, now)
                changed[field.removeprefix("options.")] = (was, now)
        return changed

    def last_checkpoint(self, stage: int = 1) -> Path | None:
        """The newest complete checkpoint of a stage. Incomplete ones are removed."""
        whole = {}
        for folder in self.checkpoints_of(stage).glob("checkpoint-*"):
            step = folder.name.removeprefix("checkpoint-")
            if not step.isdecimal():
                continue  # not a checkpoint
            if (folder / COMPLETE).exists():
                whole[int(step)] = folder
            elif is_main_process():
                shutil.rmtree(folder)
        if not settled(self.model).exists():
            # Somebody has removed it: what a finished run left of its last checkpoint starts nothing.
            for step in [step for step in whole if is_without_weights(whole[step])]:
                _logger.warning(
                    "%s: its weights were in %s, which does not exist any more; training starts before it",
                    whole[step],
                    self.model,
                )
                if is_main_process():
                    shutil.rmtree(whole[step])
                del whole[step]
        for checkpoint in whole.values():  # the newest, and the best
            restored(checkpoint, self.model)
        return whole[max(whole)] if whole else None

    def write_json(self, path: Path, value: Any) -> None:
        """Write a JSON file, completely or not at all."""
        write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)

    def record(self) -> None:
        """Write the hashes of a finished run's files."""
        write_sums(self.path, RECORDED)

    def replace_model(self, save: Any) -> None:
        """Call `save(folder)` on a temporary folder, and then replace `model/` with it."""
        replace_folder(self.model, lambda part: save(str(part)))


OTHERWISE = "resume with the same recipe, arguments and data, or choose another folder"


def otherwise(file: Path, field: str, was: Any, now: Any, of: str = "") -> InputError:
    """The error for a run that was started with another setting; `of` is the file whose content has changed."""
    problem = f"expected {was!r}, as in the run to resume, got {now!r}"
    if field == "recipe_sha256":
        problem = "the recipe file has changed since the run began"
    if of:
        problem = f"the rows of {of} have changed since the run began"
    return InputError(problem, file=file, field=field, remedy=OTHERWISE)


def check_free(configuration: Path, what: str, resume: bool) -> None:
    """Check early that a folder can be used.

    Args:
        configuration: The file that marks the folder as used.
        what: What the folder is for: "run" or "comparison".
        resume: Whether the folder must contain one to resume; otherwise it must be empty.

    Raises:
        InputError: The folder cannot be used.
    """
    folder = configuration.parent
    if configuration.exists():
        if not resume:
            remedy = "add --resume to continue it, or choose another folder"
            raise InputError(f"already contains a {what}", file=folder, field="--out", remedy=remedy)
        return
    if resume:
        problem = f"contains no {what} to resume"
        raise InputError(problem, file=folder, field="--resume", remedy="remove --resume")
    if folder.exists() and (not folder.is_dir() or any(path.name != LOCK for path in folder.iterdir())):
        problem = f"already exists and is not the folder of a {what}"
        raise InputError(problem, file=folder, field="--out", remedy="choose a new folder")


def read_configuration(file: Path) -> dict[str, Any]:
    """The settings with which a folder was claimed.

    Raises:
        InputError: The file is corrupted.
    """
    try:
        there = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("is corrupted", file=file, remedy="choose another folder") from error
    if not isinstance(there, dict):
        raise InputError("is corrupted", file=file, remedy="choose another folder")
    return there


#: The hash of the evaluation rows.
_HELD_OUT = "evaluation_sha256"
# Settings that must be equal, so that a resumed run gives the same result as an uninterrupted one.
_DECIDING = (
    "recipe",
    "recipe_sha256",
    "data",
    "columns",
    "model",
    "evaluation",
    "evaluation_columns",
    _HELD_OUT,
    "validation",
    "validation_sha256",
    "options",
    "trainer_args",
    "seed",
    "processes",
)


#: Options that do not change the result: a run may be resumed with other values.
WITHOUT_EFFECT = ("workers",)
#: What may change where tasks are added: the hashes of the earlier tasks say that their rows are the same.
_OF_TASKS = ("data", "columns", "evaluation", "evaluation_columns", _HELD_OUT)


def _tasks_added(was: Any, now: Any) -> tuple[list[str], list[str]] | None:
    """The names of the tasks before and now, if there are more now and the earlier ones have the same rows."""
    old, new = ((each or {}).get("sets") or {} for each in (was, now))
    names, longer = list(old), list(new)
    if not names or len(longer) <= len(names) or longer[: len(names)] != names:
        return None
    same = all(old[name].get("sha256") == new[name].get("sha256") for name in names)
    return (names, longer) if same else None


def differences(field: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """The entries in which two values differ, such as `options.temperature`, with both values."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from differences(f"{field}.{key}", was.get(key), now.get(key))
    elif was != now:
        yield field, was, now
