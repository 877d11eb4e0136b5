"""The file that keeps a flow's actions for `--update`: safetensors, which contain numbers and JSON, and no code."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.dialogue.change.known import Known
from nearfar.errors import InputError
from nearfar.writing import draft_of

SUFFIX = ".safetensors"
_ENDING = ".actions" + SUFFIX
_KEY, _VERSION = "nearfar_flow", 1
_KINDS = {
    "means": np.float32,
    "action": np.int32,
    "closest": np.float32,
    "spread": np.float32,
    "speaker": np.int32,
    "starts": np.int64,
    "said_by": np.int32,
    "turn": np.int32,
    "outside": np.int32,
    "far": np.float16,
}
_AGAIN = "run the earlier log again with --out"


def beside(path: Path) -> Path:
    """The file of the actions of a flow that is written to a path."""
    return path if path.suffix.lower() == SUFFIX else path.with_name(path.name + _ENDING)


def save(known: Known, path: Path) -> Path:
    """Write the actions of a flow, completely or not at all; the same flow gives the same bytes."""
    from safetensors.numpy import save as encoded

    tensors = {name: np.ascontiguousarray(getattr(known, name), kind) for name, kind in _KINDS.items()}
    words = {field.name: getattr(known, field.name) for field in fields(Known) if field.name not in _KINDS}
    text = json.dumps({"version": _VERSION, **words}, ensure_ascii=False, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft_of(path) as draft:
        draft.write_bytes(encoded(tensors, {_KEY: text}))
    return path


def load(path: str | Path) -> Known:
    """Read the actions of an earlier flow.

    Args:
        path: The file that `save` wrote, or the .html or .json of the flow beside it.

    Raises:
        InputError: the file is missing, of another kind or version, or corrupted.
    """
    from safetensors import SafetensorError, safe_open

    given, file = Path(path), beside(Path(path))
    if not file.is_file():
        problem = f"the file with its actions, {file.name}, is missing"
        raise InputError(problem, file=given, field="--update", remedy=_AGAIN)
    try:
        with safe_open(file, "numpy") as opened:
            metadata = opened.metadata() or {}
            if _KEY not in metadata:
                raise _unknown(file)
            tensors = {name: np.asarray(opened.get_tensor(name)) for name in opened.keys()}  # noqa: SIM118
        words = json.loads(metadata[_KEY])
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("is corrupted", file=file, field="--update", remedy=_AGAIN) from error
    if not isinstance(words, dict) or words.pop("version", None) != _VERSION:
        raise _unknown(file)
    try:
        known = Known(**tensors, **_typed(words))
    except (TypeError, KeyError, ValueError):
        raise _unknown(file) from None
    if not _sound(known):
        raise InputError("is corrupted", file=file, field="--update", remedy=_AGAIN)
    return known


def _unknown(file: Path) -> InputError:
    problem = "is not a file of actions of this version of nearfar"
    return InputError(problem, file=file, field="--update", remedy=_AGAIN)


def _typed(words: dict[str, Any]) -> dict[str, Any]:
    pairs = [[(str(text), int(count)) for text, count in of] for of in words["examples"]]
    return words | {"words": [tuple(map(str, of)) for of in words["words"]], "examples": pairs}


def _sound(known: Known) -> bool:
    """Whether the parts fit each other, so that no later step fails on them."""
    actions, centroids, turns = len(known.speaker), len(known.means), len(known.turn)
    below = [
        (known.action, actions),
        (known.speaker, len(known.speakers)),
        (known.said_by, len(known.speakers)),
        (known.turn, actions),
    ]
    lengths = [
        actions == len(known.names) == len(known.words) == len(known.named_by) == len(known.examples),
        centroids == len(known.action) == len(known.closest) == len(known.spread) > 0,
        turns == len(known.said_by) == len(known.outside),
        known.means.ndim == known.far.ndim == 2 and known.means.shape[1] == known.far.shape[1],
        all(getattr(known, name).dtype == kind for name, kind in _KINDS.items()),
    ]
    return (
        all(lengths)
        and all(values.ndim == 1 and (values >= 0).all() and (values < most).all() for values, most in below)
        and bool((known.outside >= -1).all() and (known.outside < max(1, len(known.far))).all())
        and bool(len(known.starts) > 1 and known.starts[0] == 0 and known.starts[-1] == turns)
        and bool((np.diff(known.starts) > 0).all() and np.isfinite(known.means).all())
        and bool((known.speaker[known.turn] == known.said_by).all())
    )
