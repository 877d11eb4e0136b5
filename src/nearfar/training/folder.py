"""The folder of one run, and what makes it safe to kill.

model/         loads with SentenceTransformer(path)
run.yaml       everything needed to run it again
metrics.json   before, after, and the difference
report.html    the same to look at
checkpoints/   to resume from; a checkpoint counts once its `complete` file is there. Later stages have folders in it.
               Of a finished run what it takes to train on, see `nearfar.training.kept`
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nearfar.errors import InputError
from nearfar.kinds._processes import is_main_process
from nearfar.kinds._trainer_files import COMPLETE
from nearfar.training.kept import restored
from nearfar.writing import LOCK, replace_folder, write_text


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
        """States to resume from."""
        return self.path / "checkpoints"

    def checkpoints_of(self, stage: int) -> Path:
        """States of one stage, counted from 1."""
        return self.checkpoints if stage == 1 else self.checkpoints / f"stage-{stage}"

    @property
    def metrics(self) -> Path:
        """The figures; there once the run is finished."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    @property
    def configuration(self) -> Path:
        """What was asked for."""
        return self.path / "run.yaml"

    def check(self, configuration: Mapping[str, Any], resume: bool) -> dict[str, tuple[Any, Any]]:
        """Check that the folder is free for a run, or that the run in it is the one to go on with.

        Returns:
            The options in which a finished run differs from this one: whether it can be trained on, its plan says.

        Raises:
            InputError: the folder holds something else, or a run with another configuration.
        """
        self.check_free(resume)
        return self._changed(configuration) if self.configuration.exists() and is_main_process() else {}

    def check_free(self, resume: bool) -> None:
        """The part of `check` that needs no configuration: it takes no time."""
        if not is_main_process():
            return  # the main process may have claimed the folder by now
        check_free(self.configuration, "run", resume)

    def start(self, configuration: Mapping[str, Any]) -> None:
        """Claim the folder for a run; one to go on with keeps what was asked for then."""
        if self.configuration.exists() or not is_main_process():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True), self.configuration)

    def lengthen(self, configuration: Mapping[str, Any], changed: Mapping[str, tuple[Any, Any]]) -> None:
        """Make a finished run one that goes on with other options; what it had before stays on record."""
        there = read_configuration(self.configuration)
        before = {"steps": sum(self.finished_steps()), "options": {name: was for name, (was, _) in changed.items()}}
        now = {**configuration, "lengthened": [*(there.get("lengthened") or ()), before]}
        write_text(yaml.safe_dump(now, sort_keys=False, allow_unicode=True), self.configuration)
        self.metrics.unlink()

    def finished_steps(self) -> list[int]:
        """Steps of each stage of a finished run."""
        metrics = json.loads(self.metrics.read_text("utf-8"))
        return [stage["steps"] for stage in metrics.get("stages", ())] or [metrics["steps"]]

    def _changed(self, configuration: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        there, changed = read_configuration(self.configuration), {}
        for key in _DECIDING:
            for field, was, now in _differences(key, there.get(key), configuration.get(key)):
                if key != "options" or not self.metrics.exists():
                    raise otherwise(self.configuration, field, was, now)
                changed[field.removeprefix("options.")] = (was, now)
        return changed

    def last_checkpoint(self, stage: int = 1) -> Path | None:
        """The newest checkpoint of a stage that was written to its end. Half-written ones are removed."""
        whole = {}
        for folder in self.checkpoints_of(stage).glob("checkpoint-*"):
            step = folder.name.removeprefix("checkpoint-")
            if not step.isdecimal():
                continue  # not ours
            if (folder / COMPLETE).exists():
                whole[int(step)] = folder
            elif is_main_process():
                shutil.rmtree(folder)
        return restored(whole[max(whole)], self.model) if whole else None

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON that appears as a whole or not at all."""
        write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)

    def replace_model(self, save: Any) -> None:
        """Call `save(folder)` on a temporary folder and put it in the place of `model/`."""
        replace_folder(self.model, lambda part: save(str(part)))


OTHERWISE = "resume with the same arguments and data, or start in another folder"


def otherwise(file: Path, field: str, was: Any, now: Any) -> InputError:
    """What to raise where a run was asked for otherwise."""
    return InputError(f"the run there has {was!r}, this call {now!r}", file=file, field=field, remedy=OTHERWISE)


def check_free(configuration: Path, what: str, resume: bool) -> None:
    """Find out at once that a folder holds something else than is wanted.

    Args:
        configuration: The file that claims the folder.
        what: It claims it for this: a run, a comparison.
        resume: There must be one to go on with, and else there must be nothing.

    Raises:
        InputError: it is otherwise.
    """
    folder = configuration.parent
    if configuration.exists():
        if not resume:
            remedy = "pass --resume to go on with it, or another folder"
            raise InputError(f"this folder holds a {what} already", file=folder, field="--out", remedy=remedy)
        return
    if resume:
        problem = f"there is no {what} here to go on with"
        raise InputError(problem, file=folder, field="--resume", remedy="leave --resume out")
    if folder.exists() and (not folder.is_dir() or any(path.name != LOCK for path in folder.iterdir())):
        raise InputError(f"is there already and is no {what}", file=folder, field="--out", remedy="name a new folder")


def read_configuration(file: Path) -> dict[str, Any]:
    """What was asked for when a folder was claimed.

    Raises:
        InputError: the file is damaged.
    """
    try:
        there = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("is damaged", file=file, remedy="start over in another folder") from error
    if not isinstance(there, dict):
        raise InputError("is damaged", file=file, remedy="start over in another folder")
    return there


# What must be equal for a resumed run to end where the uninterrupted one would have ended.
_DECIDING = ("recipe", "data", "columns", "model", "evaluation", "evaluation_columns", "options", "seed")


def _differences(field: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """The entries in which two values differ: `options.temperature`, what it was, what it is."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from _differences(f"{field}.{key}", was.get(key), now.get(key))
    elif was != now:
        yield field, was, now
