"""The file of edits: what a person changed about the actions of a flow, in the order in which it was done.

    {"nearfar_edits": 1, "edits": [
      {"edit": "rename", "action": ACTION, "name": "ask for the date"},
      {"edit": "merge", "actions": [ACTION, ACTION], "name": "greet"},
      {"edit": "split", "action": ACTION, "parts": 2},
      {"edit": "split", "action": ACTION, "groups": [{"name": "NAME", "examples": ["..."]}, {"examples": ["..."]}]}
    ]}

An ACTION is `{"speaker": "agent", "name": "Which day?", "examples": ["Which day?", "For what date?"]}`: its number may
be another one in the next run, its utterances stay. The name of an ACTION is for people who read the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nearfar.errors import InputError

_KEY, _VERSION = "nearfar_edits", 1
_MOST_BYTES = 1 << 26
_FIELDS = {
    "rename": ({"action", "name"}, set[str]()),
    "merge": ({"actions"}, {"name"}),
    "split": ({"action"}, {"parts", "groups"}),
}
_MOST_PARTS = 50


@dataclass(frozen=True)
class Reference:
    """An action, by its speaker and some of its utterances."""

    speaker: str
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """A part of an action that is split, by some of its utterances."""

    examples: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True)
class Edit:
    """One edit.

    Args:
        kind: What is done.
        actions: The edited action; for "merge" two or more.
        name: The new name.
        parts: Number of parts of a split.
        groups: The parts of a split, if they are given by examples.
    """

    kind: Literal["rename", "merge", "split"]
    actions: tuple[Reference, ...]
    name: str | None = None
    parts: int | None = None
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True)
class Edits:
    """The edits of a file.

    Args:
        file: Where they come from, for messages.
        edits: The edits, in order.
        raw: The same as in the file.
    """

    file: str
    edits: tuple[Edit, ...]
    raw: tuple[dict[str, Any], ...]


def read_edits(file: str | Path) -> Edits:
    """Read a file of edits.

    Raises:
        InputError: it cannot be read, is not JSON, or has a missing, unknown or invalid field.
    """
    path = Path(file).expanduser()
    remedy = "download the edits from the page again"
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"expected at most {_MOST_BYTES:,} bytes", file=file, field="--edits", remedy=remedy)
        value = json.loads(path.read_text("utf-8"), object_pairs_hook=_unique)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise InputError(problem, file=file, field="--edits", remedy="pass the path of the file") from error
    except json.JSONDecodeError as error:
        problem = f"invalid JSON: {error.msg}"
        raise InputError(problem, file=file, line=error.lineno, field="--edits", remedy=remedy) from None
    except _DuplicateError as error:
        raise InputError(f"duplicate key {error}", file=file, field="--edits", remedy="remove one") from None
    except (ValueError, RecursionError):
        raise InputError("is not valid JSON in UTF-8", file=file, field="--edits", remedy=remedy) from None
    return _Reader(str(file)).edits(value)


class _DuplicateError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateError(repr(next(name for name in names if names.count(name) > 1)))
    return found


class _Reader:
    """Checks the values of a file; errors name the field."""

    def __init__(self, file: str) -> None:
        self.file = file

    def edits(self, value: Any) -> Edits:
        whole = self.object(value, "", {_KEY, "edits"}, set())
        if whole[_KEY] != _VERSION or isinstance(whole[_KEY], bool):
            raise self.error(f"expected version {_VERSION}, got {whole[_KEY]!r}", _KEY, "use this version of nearfar")
        raw = self.list(whole["edits"], "edits", 0)
        return Edits(self.file, tuple(self.edit(each, f"edits[{i}]") for i, each in enumerate(raw)), tuple(raw))

    def edit(self, value: Any, field: str) -> Edit:
        kind = value.get("edit") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in _FIELDS:
            known = ", ".join(_FIELDS)
            raise self.error(f"expected an object with one of {known}", f"{field}.edit", f"must be one of {known}")
        required, optional = _FIELDS[kind]
        self.object(value, field, {"edit", *required}, optional)
        name = self.text(value["name"], f"{field}.name") if "name" in value else None
        if kind == "merge":
            several = self.list(value["actions"], f"{field}.actions", 2)
            actions = tuple(self.action(each, f"{field}.actions[{i}]") for i, each in enumerate(several))
            if len({action.speaker for action in actions}) > 1:
                problem = "expected actions of one speaker"
                raise self.error(problem, f"{field}.actions", "merge the actions of each speaker on their own")
            return Edit("merge", actions, name)
        action = (self.action(value["action"], f"{field}.action"),)
        if kind == "rename":
            return Edit("rename", action, name)
        if ("parts" in value) == ("groups" in value):
            raise self.error("expected either parts or groups", field, "give one of them")
        if "groups" in value:
            groups = self.list(value["groups"], f"{field}.groups", 2)
            return Edit(
                "split", action, groups=tuple(self.group(g, f"{field}.groups[{i}]") for i, g in enumerate(groups))
            )
        parts = value["parts"]
        if not isinstance(parts, int) or isinstance(parts, bool) or not 2 <= parts <= _MOST_PARTS:
            raise self.error(f"invalid value {parts!r}", f"{field}.parts", f"must be 2 to {_MOST_PARTS}")
        return Edit("split", action, parts=parts)

    def action(self, value: Any, field: str) -> Reference:
        self.object(value, field, {"speaker", "examples"}, {"name"})
        if "name" in value:
            self.text(value["name"], f"{field}.name")
        return Reference(self.text(value["speaker"], f"{field}.speaker"), self.texts(value["examples"], field))

    def group(self, value: Any, field: str) -> Group:
        self.object(value, field, {"examples"}, {"name"})
        name = self.text(value["name"], f"{field}.name") if "name" in value else None
        return Group(self.texts(value["examples"], field), name)

    def texts(self, value: Any, field: str) -> tuple[str, ...]:
        values = self.list(value, f"{field}.examples", 1)
        return tuple(self.text(each, f"{field}.examples[{i}]") for i, each in enumerate(values))

    def object(self, value: Any, field: str, required: set[str], optional: set[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.error(f"expected an object, got {type(value).__name__}", field, "download the edits again")
        for name in value:
            if name not in required | optional:
                known = ", ".join(sorted(required | optional))
                raise self.error("unknown field", f"{field}.{name}".lstrip("."), f"must be one of {known}")
        for name in sorted(required - set(value)):
            raise self.error("is missing", f"{field}.{name}".lstrip("."), "add it")
        return value

    def list(self, value: Any, field: str, least: int) -> Sequence[Any]:
        if not isinstance(value, list) or len(value) < least:
            got = f"{len(value)}" if isinstance(value, list) else type(value).__name__
            raise self.error(f"expected a list of at least {least}, got {got}", field, "fix the list")
        return value

    def text(self, value: Any, field: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"expected a text, got {value!r}", field, "write a text that is not empty")
        return " ".join(value.split())

    def error(self, problem: str, field: str, remedy: str) -> InputError:
        return InputError(problem, file=self.file, field=field or "--edits", remedy=remedy)
