"""The checkpoints of a finished run: what further training requires, without a second copy of the weights.

The last checkpoint keeps the state of the optimizer, the schedule and the random numbers. Files that are identical in
`model/` are removed, and listed in `in_model.json`. Earlier stages keep their weights: later stages start from them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from nearfar.data.files import sha256
from nearfar.errors import InputError
from nearfar.kinds._processes import is_main_process
from nearfar.kinds._trainer_files import BEST
from nearfar.writing import draft_of, write_text

#: Lists the removed files: path -> SHA-256.
IN_MODEL = "in_model.json"
#: Files that an earlier stage no longer needs: it is not trained further.
_STATES = ("optimizer.*", "scheduler.*", "scaler.*", "rng_state*")
#: Maximum number of seconds to wait until the main process has copied the weights back.
_COPIED = 600


def thin(stages: Sequence[Path], model: Path) -> None:
    """Remove what a finished run no longer needs. It can be interrupted and called again.

    Args:
        stages: The folder with the checkpoints of each stage.
        model: The folder of the trained model.
    """
    for number, folder in enumerate(stages, 1):
        found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.removeprefix("checkpoint-")))
        if not found:
            continue
        best = _best(found[-1])
        for path in found[:-1]:
            if path != best:
                shutil.rmtree(path)
        for path in {found[-1], best or found[-1]}:
            if number < len(stages) or path != found[-1]:
                _remove_states(path)
            if number == len(stages):
                _leave_to(model, path)


def _best(last: Path) -> Path | None:
    """The best checkpoint of a stage that followed a metric; its weights are those that the stage ended with."""
    if not (last / BEST).is_file():
        return None
    known = last.with_name(f"checkpoint-{json.loads((last / BEST).read_text('utf-8'))['step']}")
    return known if known.is_dir() else None


def _remove_states(checkpoint: Path) -> None:
    for pattern in _STATES:
        for path in checkpoint.glob(pattern):
            path.unlink()


def _leave_to(model: Path, checkpoint: Path) -> None:
    """Remove the files of a checkpoint that are identical in the model."""
    here = [path for path in checkpoint.rglob("*") if path.is_file()]
    shared = {path.relative_to(checkpoint).as_posix(): path for path in here}
    shared = {name: path for name, path in shared.items() if _size(model / name) == path.stat().st_size}
    sums = {name: sha256(path) for name, path in shared.items() if sha256(path) == sha256(model / name)}
    if sums:
        write_text(json.dumps(sums, indent=1) + "\n", checkpoint / IN_MODEL)
        for name in sums:
            (checkpoint / name).unlink()


def is_without_weights(checkpoint: Path) -> bool:
    """Whether `thin` left files of a checkpoint to the model."""
    return (checkpoint / IN_MODEL).exists()


def restored(checkpoint: Path, model: Path) -> Path:
    """The same checkpoint, with the files that `thin` removed.

    Raises:
        InputError: The model has changed.
    """
    listed = checkpoint / IN_MODEL
    if not is_main_process():
        until = time.monotonic() + _COPIED
        while listed.exists() and time.monotonic() < until:
            time.sleep(0.1)
    if not listed.exists():
        return checkpoint
    for name, expected in json.loads(listed.read_text("utf-8")).items():
        source, target = model / name, checkpoint / name
        if target.exists():
            continue
        if not source.is_file() or sha256(source) != expected:
            problem = "has changed since the run ended, so it cannot be trained further"
            raise InputError(problem, file=source, remedy="restore the file, or choose another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(target) as draft:
            shutil.copyfile(source, draft)
    listed.unlink()
    return checkpoint


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
