"""A workflow as a file, one module for each kind of format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.dialogue.change.state import SUFFIX, save
from nearfar.dialogue.exports.bpmn import as_bpmn
from nearfar.dialogue.exports.diagrams import as_dot, as_mermaid
from nearfar.dialogue.exports.events import as_event_csv, as_xes
from nearfar.dialogue.exports.graph_json import as_dict, as_json, quality
from nearfar.dialogue.exports.rasa import as_rasa
from nearfar.errors import InputError
from nearfar.writing import check_writable, write_text

if TYPE_CHECKING:
    from nearfar.dialogue.result import Flow

__all__ = [
    "WRITERS",
    "as_bpmn",
    "as_dict",
    "as_dot",
    "as_event_csv",
    "as_json",
    "as_mermaid",
    "as_rasa",
    "as_xes",
    "check_target",
    "quality",
    "save_actions",
    "write",
]


def write(flow: Flow, path: str | Path) -> Path:
    """Write a workflow; the suffix of the path decides the format.

    Raises:
        InputError: unknown suffix, or the path is not writable.
    """
    path = Path(path)
    check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = _ending(path)
    if ending == SUFFIX:
        return save_actions(flow, path)
    assert ending is not None
    write_text(WRITERS[ending](flow), path)
    return path


def save_actions(flow: Flow, path: Path) -> Path:
    """Write the actions of a flow for a later update.

    Raises:
        InputError: the flow is of two logs side by side, which cannot be updated.
    """
    if flow.known is None:
        remedy = "run one of the logs without --against"
        raise InputError("a flow of two logs cannot be updated", file=path, field="--out", remedy=remedy)
    return save(flow.known, path)


def check_target(path: Path, option: str = "--out") -> None:
    """Check, before any work, that a workflow can be written to a path.

    Raises:
        InputError: as `write`.
    """
    if _ending(path) is None:
        problem = f"unknown suffix {path.suffix!r}"
        raise InputError(problem, file=path, field=option, remedy=f"must be one of {', '.join([*WRITERS, SUFFIX])}")
    if path.is_dir():
        raise InputError("is a folder", file=path, field=option, remedy="choose a file name")
    check_writable(path.absolute().parent, option)


def _ending(path: Path) -> str | None:
    """The known suffix that a path has. A table or a YAML file could be many things, so these have two parts."""
    name = path.name.lower()
    return next((ending for ending in (*WRITERS, SUFFIX) if name.endswith(ending) and len(name) > len(ending)), None)


def _page(flow: Flow) -> str:
    from nearfar.dialogue.page import page

    return page(flow)


WRITERS: dict[str, Callable[[Flow], str]] = {
    ".html": _page,
    ".json": as_json,
    ".mmd": as_mermaid,
    ".dot": as_dot,
    ".bpmn": as_bpmn,
    ".xes": as_xes,
    ".events.csv": as_event_csv,
    ".rasa.yml": as_rasa,
}
"""Suffix -> the function that makes the text of the file."""
