"""The file of edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nearfar.dialogue.edits.file import Edit, Group, Reference, read_edits

from ..helpers import refused

ACTION = {"speaker": "agent", "name": "Which day?", "examples": ["Which day?", "For  what date?"]}
OTHER = {"speaker": "agent", "examples": ["When?"]}


def written(tmp_path: Path, edits: Any) -> Path:
    file = tmp_path / "edits.json"
    file.write_text(json.dumps({"nearfar_edits": 1, "edits": edits}))
    return file


def test_all_kinds_are_read_in_order(tmp_path: Path):
    raw = [
        {"edit": "rename", "action": ACTION, "name": "ask for the date"},
        {"edit": "merge", "actions": [ACTION, OTHER]},
        {"edit": "split", "action": ACTION, "parts": 3},
        {"edit": "split", "action": ACTION, "groups": [{"name": "day", "examples": ["Which day?"]}, OTHER_GROUP]},
    ]
    edits = read_edits(written(tmp_path, raw))
    action, other = Reference("agent", ("Which day?", "For what date?")), Reference("agent", ("When?",))
    assert edits.edits == (
        Edit("rename", (action,), "ask for the date"),
        Edit("merge", (action, other)),
        Edit("split", (action,), parts=3),
        Edit("split", (action,), groups=(Group(("Which day?",), "day"), Group(("For what date?",)))),
    )
    assert list(edits.raw) == raw


OTHER_GROUP = {"examples": ["For what date?"]}


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"edit": "delete", "action": ACTION}, "edits[0].edit"),
        ("rename", "edits[0].edit"),
        ({"edit": "rename", "action": ACTION}, "edits[0].name"),
        ({"edit": "rename", "action": ACTION, "name": " "}, "edits[0].name"),
        ({"edit": "rename", "action": ACTION, "name": "x", "colour": 1}, "edits[0].colour"),
        ({"edit": "rename", "action": {"speaker": "a"}, "name": "x"}, "edits[0].action.examples"),
        ({"edit": "rename", "action": {"speaker": "a", "examples": []}, "name": "x"}, "edits[0].action.examples"),
        ({"edit": "rename", "action": {"speaker": "a", "examples": [1]}, "name": "x"}, "edits[0].action.examples[0]"),
        ({"edit": "rename", "action": ACTION | {"id": 4}, "name": "x"}, "edits[0].action.id"),
        ({"edit": "merge", "actions": [ACTION]}, "edits[0].actions"),
        ({"edit": "merge", "actions": [ACTION, OTHER | {"speaker": "user"}]}, "edits[0].actions"),
        ({"edit": "split", "action": ACTION}, "edits[0]"),
        ({"edit": "split", "action": ACTION, "parts": 1}, "edits[0].parts"),
        ({"edit": "split", "action": ACTION, "parts": True}, "edits[0].parts"),
        ({"edit": "split", "action": ACTION, "groups": [OTHER_GROUP]}, "edits[0].groups"),
        ({"edit": "split", "action": ACTION, "groups": [OTHER_GROUP, {"name": "x"}]}, "edits[0].groups[1].examples"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, edit: Any, field: str):
    assert refused(lambda: read_edits(written(tmp_path, [edit]))) == ("edits.json", None, field)


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ('{"nearfar_edits": 1,\n "edits": [}', 2, "--edits"),
        ("[]", None, "--edits"),
        ('{"edits": []}', None, "nearfar_edits"),
        ('{"nearfar_edits": 2, "edits": []}', None, "nearfar_edits"),
        ('{"nearfar_edits": 1, "edits": [], "edits": []}', None, "--edits"),
        ("[" * 100_000, None, "--edits"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, line: int | None, field: str):
    file = tmp_path / "edits.json"
    file.write_text(text)
    assert refused(lambda: read_edits(file)) == ("edits.json", line, field)


def test_a_missing_file_is_refused(tmp_path: Path):
    assert refused(lambda: read_edits(tmp_path / "no.json")) == ("no.json", None, "--edits")
