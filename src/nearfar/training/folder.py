"""The folder of one run, and what makes it safe to kill.

model/         loads with SentenceTransformer(path)
run.yaml       everything needed to run it again
metrics.json   before, after, and the difference
report.html    the same to look at
checkpoints/   to resume from; a checkpoint counts once its `complete` file is there
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nearfar.data.files import write_text
from nearfar.errors import InputError

COMPLETE = "complete"


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

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.metrics.exists()

    def check(self, configuration: Mapping[str, Any], resume: bool) -> None:
        """Check that the folder is free for a run, or that the run in it is the one to go on with.

        Raises:
            InputError: the folder holds something else, or a run with another configuration.
        """
        if self.configuration.exists():
            if not resume:
                raise InputError(
                    "this folder holds a run already",
                    file=self.path,
                    field="--out",
                    remedy="pass --resume to go on with it, or another folder",
                )
            self._check_same(configuration)
            return
        if resume:
            raise InputError(
                "there is no run here to go on with", file=self.path, field="--resume", remedy="leave --resume out"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(
                "is there already and is no run", file=self.path, field="--out", remedy="name a new folder"
            )

    def start(self, configuration: Mapping[str, Any]) -> None:
        """Claim the folder for a run; one to go on with keeps what was asked for then."""
        if self.configuration.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True), self.configuration)

    def _check_same(self, configuration: Mapping[str, Any]) -> None:
        try:
            there = yaml.safe_load(self.configuration.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError("is damaged", file=self.configuration, remedy="start over in another folder") from error
        if not isinstance(there, dict):
            raise InputError("is damaged", file=self.configuration, remedy="start over in another folder")
        for key in _DECIDING:
            for field, was, now in _differences(key, there.get(key), configuration.get(key)):
                raise InputError(
                    f"the run there has {was!r}, this call {now!r}",
                    file=self.configuration,
                    field=field,
                    remedy="resume with the same arguments and data, or start in another folder",
                )

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that was written to its end. Half-written ones are removed."""
        newest = None
        for folder in sorted(self.checkpoints.glob("checkpoint-*"), key=lambda f: int(f.name.rpartition("-")[2])):
            if (folder / COMPLETE).exists():
                newest = folder
            else:
                shutil.rmtree(folder)
        return newest

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON that appears as a whole or not at all."""
        write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)

    def replace_model(self, save: Any) -> None:
        """Call `save(folder)` on a temporary folder and put it in the place of `model/`."""
        part = self.path / "model.part"
        shutil.rmtree(part, ignore_errors=True)
        save(str(part))
        shutil.rmtree(self.model, ignore_errors=True)
        os.replace(part, self.model)


# What must be equal for a resumed run to end where the uninterrupted one would have ended.
_DECIDING = ("recipe", "data", "columns", "model", "evaluation", "evaluation_columns", "options", "seed")


def _differences(field: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """The entries in which two values differ: `options.temperature`, what it was, what it is."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from _differences(f"{field}.{key}", was.get(key), now.get(key))
    elif was != now:
        yield field, was, now


def check_writable(path: Path, field: str = "--out") -> None:
    """Find out now, and not after an hour of training, that nothing can be written.

    Raises:
        InputError: no right to write there, no space, or a file in the way.
    """
    existing = path
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError("is a file, not a folder", file=existing, field=field, remedy="name another folder")
    try:
        # Without a name where the system has such files: nothing to see, nothing to leave behind.
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
    except OSError as error:
        raise _unwritable(error, existing, field) from error


@contextmanager
def full_disk_noticed(path: Path) -> Iterator[None]:
    """Say that the disk is full where that is why the block failed: torch's own error does not tell.

    Raises:
        InputError: nothing more can be written to `path`.
    """
    try:
        yield
    except InputError:
        raise
    except Exception:
        check_writable(path)
        raise


def _unwritable(error: OSError, path: Path, field: str) -> InputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free some space or name a folder on another disk" if full else "name a folder that you may write to"
    return InputError(f"cannot be written: {error.strerror or error}", file=path, field=field, remedy=remedy)
