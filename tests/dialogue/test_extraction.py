"""From a log to a flow."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nearfar
from call_transcripts import TEXTS
from flows import booking_flow
from nearfar.dialogue import FlowOptions, Log, Rules, extraction
from nearfar.dialogue.clustering import Actions
from nearfar.dialogue.extraction import merged_by_name
from nearfar.dialogue.words.naming import Described, describe, same_names

from .helpers import refused


def test_flow_of_a_folder_of_transcripts(calls: Path, tiny_model, tmp_path: Path):
    stages = []
    flow = nearfar.flow(calls, model=tiny_model, actions=2, progress=lambda *at: stages.append(at))
    assert len(flow.actions) == 4
    assert flow.log.turns == 24
    assert stages[-1] == ("encode", 8, 8)
    assert sum(count for (a, _), count in flow.counts().items() if a == 0) == 6
    again = nearfar.flow(calls, model=tiny_model, actions=2)
    assert again.described == flow.described
    assert flow.write(tmp_path / "x" / "flow.html").stat().st_size > 10_000


def test_settings_override_options_and_unknown_ones_are_refused(calls: Path, tiny_model):
    options = FlowOptions(model=tiny_model, actions=1, seed=3)
    assert len(nearfar.flow(calls, options).actions) == 2
    flow = nearfar.flow(calls, options, actions=2)
    assert (len(flow.actions), flow.facts["seed"]) == (4, 3)
    with pytest.raises(TypeError, match="clusters"):
        nearfar.flow(calls, options, clusters=2)


def test_options_are_those_of_the_public_function():
    names = {field.name for field in fields(FlowOptions)}
    public = (
        "model actions rules columns split speakers sample slots linkage namer names merge max_length batch_size seed"
    )
    assert names == {*public.split(), "store", "skip_broken", "edits", "update", "against"}


def test_every_setting_reaches_the_step_that_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = Log.of([("1", [("a", "the cat sits"), ("b", "a dog runs")])])
    calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def step(name: str, result: object):
        def call(*args: Any, **kwargs: Any) -> object:
            calls[name] = args, kwargs
            return result

        return call

    actions, described = SimpleNamespace(speaker="speaker"), [object()]
    monkeypatch.setattr(extraction, "fingerprint", lambda model: "a fingerprint")
    monkeypatch.setattr(extraction, "kept", step("kept", SimpleNamespace(edits=[])))
    monkeypatch.setattr(extraction, "read", step("read", log))
    monkeypatch.setattr("nearfar.models.load", step("load", "encoder"))
    monkeypatch.setattr(extraction, "vectors_of", step("vectors", "vectors"))
    monkeypatch.setattr(extraction, "find_actions", step("actions", actions))
    words = SimpleNamespace(describe=step("describe", described), name=step("words named", described))
    monkeypatch.setattr(extraction, "Wording", step("wording", words))
    monkeypatch.setattr("nearfar.models.loading.find", step("find", "folder"))
    monkeypatch.setattr("nearfar.models.action_labels.ActionLabels.load", step("labels", "labels"))
    monkeypatch.setattr(extraction, "distinct", step("distinct", described))
    monkeypatch.setattr(extraction, "held_out_quality", step("held out", "quality"))
    monkeypatch.setattr(extraction, "name_by_model", step("name", described))
    monkeypatch.setattr(extraction, "merged_by_name", step("merge", (actions, described)))
    namer: Any = SimpleNamespace(identity="a namer")
    reading = {"columns": {"text": "words"}, "split": "test", "speakers": "a", "sample": 7, "skip_broken": True}
    rules = Rules(edges=0.4)
    flow = nearfar.flow(
        "calls.csv",
        model="some/model",
        actions=5,
        rules=rules,
        slots=False,
        linkage="average",
        namer=namer,
        names=tmp_path / "names.jsonl",
        merge=True,
        max_length=9,
        batch_size=3,
        seed=11,
        store=tmp_path / "store",
        **reading,
    )
    assert calls["read"] == (("calls.csv",), {**reading, "seed": 11})
    assert calls["load"] == (("some/model",), {"max_length": 9})
    assert calls["vectors"][0] == ("encoder", log.texts)
    assert calls["vectors"][1] == {"store": tmp_path / "store", "batch_size": 3, "progress": None}
    assert calls["actions"] == ((log, "vectors", 5), {"linkage": "average", "seed": 11})
    assert calls["labels"][0] == ("folder",)
    *given, by_model = calls["wording"][0]
    assert given == [log, "vectors", "labels", None]
    assert calls["describe"][0] == (actions,)
    assert calls["words named"][0] == (described,)
    by_model(described)
    assert calls["held out"] == ((log, "vectors", actions, rules), {"linkage": "average", "seed": 11})
    assert flow.held_out == "quality"
    assert calls["name"][0] == (described, log.texts, namer, tmp_path / "names.jsonl", None)
    assert calls["merge"][0] == (actions, described)
    assert calls["distinct"][0] == (described, "speaker")
    settings = {"encoder": "a fingerprint", "linkage": "average", "slots": False}
    assert calls["kept"][0][2] == settings
    assert flow.rules is rules
    facts = {"source": "calls.csv", "model": "some/model", "namer": "a namer", "actions": "given", "slots": False}
    assert flow.facts == {**facts, "sample": 7, "seed": 11}


def test_turns_that_differ_in_slots_only_are_one_action_and_encoded_once(tiny_model):
    texts = ["five five", "oh two nine", "555", "Which city?", "Hello Anna, which city?", "Hello Ben, which city?"]
    log = Log.of((str(i), [("a", texts[i % 3]), ("b", texts[3 + i % 3])]) for i in range(6))
    seen = []
    flow = nearfar.flow(log, model=tiny_model, actions={"a": 2, "b": 2}, progress=lambda *at: seen.append(at))
    assert seen[-1] == ("encode", 3, 3)
    assert len(flow.actions) == 3
    number, ask = flow.described[0], [of for of in flow.described if "name" in of.slots]
    assert (number.name, number.source, number.slots) == ("give a number", "slots", {"number": 6})
    assert {log.texts[text] for text, _ in number.examples} == {"five five", "oh two nine", "555"}
    assert [of.slots for of in ask] == [{"name": 4}]
    assert all("anna" not in of.words for of in flow.described)
    without = nearfar.flow(log, model=tiny_model, actions={"a": 3, "b": 3}, slots=False)
    assert len(without.actions) == 6
    assert all(of.source == "utterance" and of.slots == {} for of in without.described)


def test_stored_vectors_are_those_of_the_encoded_texts(tiny_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nearfar.dialogue.vectors.WINDOW", 1)
    log = Log.of((str(i), [("a", f"number {i}"), ("b", "yes")]) for i in range(4))
    for slots, count in ((True, 2), (False, 5), (True, 2)):
        nearfar.flow(log, model=tiny_model, actions=1, slots=slots, store=tmp_path)
        assert len(list(tmp_path.glob("*.npy"))) == count


def test_a_log_in_memory_is_sampled(tiny_model):
    log = Log.of((str(i), [("a", TEXTS[i % 6]), ("b", TEXTS[(i + 1) % 6])]) for i in range(8))
    flow = nearfar.flow(log, model=tiny_model, actions=2, sample=3)
    assert len(flow.log) == 3
    assert flow.facts["sample"] == 3


def test_the_seed_decides_the_folds_of_the_automatic_number(tiny_model):
    log = Log.of((str(i), [(who, f"{TEXTS[(i + k) % 6]} {i % 4}") for k, who in enumerate("abab")]) for i in range(12))
    found = {seed: nearfar.flow(log, model=tiny_model, seed=seed).actions.gain for seed in (0, 1)}
    assert found[0] != found[1]
    assert nearfar.flow(log, model=tiny_model, seed=1).actions.gain == found[1]


def test_the_largest_of_merged_actions_keeps_its_examples():
    actions = Actions(np.zeros(3, np.int32), np.array([0, 1, 2, 2, 2, 1], np.int32), np.ones(6, np.float32), [])
    described = [Described("ask", (), ((i, 1),)) for i in range(3)]
    merged, left = merged_by_name(actions, described)
    assert merged.turn.tolist() == [0] * 6
    assert left == [described[2]]
    described = [replace(of, slots={"number": 1, f"kind {i}": 2}) for i, of in enumerate(described)]
    assert merged_by_name(actions, described)[1][0].slots == {"kind 0": 2, "kind 1": 2, "kind 2": 2, "number": 3}


def test_actions_of_one_speaker_with_the_same_name_are_merged():
    flow = booking_flow(10)
    names = ["talk" if i in (1, 3, 5) else of.name for i, of in enumerate(flow.described)]
    described = [Described(name, of.words, of.examples) for name, of in zip(names, flow.described, strict=True)]
    speaker = flow.actions.speaker
    same = [i for i in (3, 5) if speaker[i] == speaker[1]]
    joined = same_names(described, speaker)
    assert all(joined[i] == 1 for i in same)
    actions, left = merged_by_name(flow.actions, described)
    assert len(actions) == len(left) == len(flow.described) - len(joined)
    assert np.bincount(actions.turn).sum() == flow.log.turns
    assert (actions.speaker[actions.turn] == flow.log.speaker).all()
    for action, of in enumerate(left):
        mine = set(flow.log.text[actions.turn == action].tolist())
        assert {text for text, _ in of.examples} <= mine
    assert describe(flow.log, flow.actions) == flow.described


def test_a_folder_without_a_model_is_refused(calls: Path, tmp_path: Path):
    name, _, _ = refused(lambda: nearfar.flow(calls, model=str(tmp_path), actions=2))
    assert name == tmp_path.name
