"""Flows that refer to another one, from logs to the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nearfar
from call_transcripts import TEXTS
from nearfar.dialogue import Log

from ..helpers import refused

OTHER = ["bill payment transfer loan", "weather snow rain wind cold"]


def log(first: int, count: int, extra: bool = False) -> Log:
    texts = [TEXTS[i % 6] for i in range(6)] + (OTHER if extra else [])
    return Log.of(
        (str(i), [(who, texts[(i * 5 + k * 3 + i // 3) % len(texts)]) for k, who in enumerate("abab")])
        for i in range(first, first + count)
    )


@pytest.fixture(scope="module")
def old(tiny_model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    return nearfar.flow(log(0, 24), model=tiny_model, actions=3).write(folder / "old.safetensors")


def test_an_update_keeps_the_names_and_says_what_changed(old: Path, tiny_model):
    before = nearfar.flow(log(0, 24), model=tiny_model, actions=3)
    flow = nearfar.flow(log(0, 24), model=tiny_model, update=old)
    assert [of.name for of in flow.described] == [of.name for of in before.described]
    assert flow.change is not None
    assert flow.change.method == "update"
    assert flow.change.significant == []
    assert flow.change.added == frozenset()
    assert len(flow.change.before.log) == 24


def test_an_update_with_another_encoder_is_refused(old: Path):
    assert refused(lambda: nearfar.flow(log(0, 8), update=old)) == ("old.safetensors", None, "--update")


def test_two_logs_side_by_side_share_their_actions(tiny_model, tmp_path: Path):
    flow = nearfar.flow(log(0, 24), model=tiny_model, actions=4, against=log(24, 30, extra=True))
    assert flow.change is not None
    assert flow.change.method == "against"
    assert (len(flow.change.before.log), len(flow.log)) == (24, 30)
    counts = {rate.node: rate.counts for rate in flow.change.rates if rate.target is None}
    for side in (0, 1):
        assert sum(pair[side] for pair in counts.values()) == (24 * 4, 30 * 4)[side]
    found = json.loads(flow.write(tmp_path / "x.json").read_text())
    assert found["change"]["before"]["dialogues"] == 24
    assert len(found["change"]["actions"]) == len(counts)
    assert "What changed" in flow.write(tmp_path / "x.html").read_text()
    assert refused(lambda: flow.write(tmp_path / "x.safetensors")) == ("x.safetensors", None, "--out")


def test_a_log_against_itself_has_no_significant_change(tiny_model):
    flow = nearfar.flow(log(0, 24), model=tiny_model, actions=4, against=log(0, 24))
    assert flow.change is not None
    assert flow.change.significant == []


def test_logs_of_other_speakers_cannot_be_compared(tiny_model):
    other = Log.of([("1", [("x", TEXTS[0]), ("y", TEXTS[1])])])
    _, _, field = refused(lambda: nearfar.flow(log(0, 8), model=tiny_model, actions=2, against=other))
    assert field == "--against"
    assert refused(lambda: nearfar.flow(log(0, 8), against=other, update="x"))[2] == "--against"


def test_edits_are_kept_and_not_applied_twice(tiny_model, tmp_path: Path):
    plain = nearfar.flow(log(0, 24), model=tiny_model, actions=3)
    action = {"speaker": "a", "examples": [plain.log.texts[plain.described[0].examples[0][0]]]}
    raw = [{"edit": "rename", "action": action, "name": "say hello"}]
    edits = tmp_path / "edits.json"
    edits.write_text(json.dumps({"nearfar_edits": 1, "edits": raw}))
    flow = nearfar.flow(log(0, 24), model=tiny_model, actions=3, edits=edits)
    assert flow.described[0].name == "say hello"
    assert list(flow.edits) == raw
    kept = flow.write(tmp_path / "flow.safetensors")
    split = {"edit": "split", "action": action, "parts": 2}
    edits.write_text(json.dumps({"nearfar_edits": 1, "edits": [*raw, split]}))
    assert refused(lambda: nearfar.flow(log(0, 24), model=tiny_model, update=kept, edits=edits))[2] == "edits[1]"
    edits.write_text(json.dumps({"nearfar_edits": 1, "edits": [*raw, raw[0] | {"name": "greet"}]}))
    later = nearfar.flow(log(0, 24), model=tiny_model, update=kept, edits=edits)
    assert later.described[0].name == "greet"
    assert [edit["name"] for edit in later.edits] == ["say hello", "greet"]


def test_merging_an_action_of_an_update_merges_it_in_the_earlier_log(old: Path, tiny_model, tmp_path: Path):
    flow = nearfar.flow(log(0, 24), model=tiny_model, update=old)
    pair = [
        {"speaker": "a", "examples": [flow.log.texts[flow.described[i].examples[0][0]]]}
        for i in range(2)
        if flow.actions.speaker[i] == 0
    ]
    assert len(pair) == 2
    edits = tmp_path / "edits.json"
    edits.write_text(json.dumps({"nearfar_edits": 1, "edits": [{"edit": "merge", "actions": pair, "name": "both"}]}))
    merged = nearfar.flow(log(0, 24), model=tiny_model, update=old, edits=edits)
    assert len(merged.actions) == len(flow.actions) - 1
    assert merged.change is not None
    assert merged.change.significant == []
    assert merged.change.before.turn.max() < len(merged.actions)
    again = nearfar.flow(log(0, 24), model=tiny_model, update=merged.write(tmp_path / "again.safetensors"))
    assert "both" in [of.name for of in again.described]
    assert len(again.actions) == len(merged.actions)
