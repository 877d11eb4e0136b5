"""Training data of Rasa."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from flows import booking_flow, flow_of, hostile_flow
from nearfar.dialogue import read, write
from nearfar.dialogue.exports import as_rasa
from nearfar.dialogue.graph import END, START

from ..helpers import dialogues

FLOWS = {"booking": booking_flow(30), "hostile": hostile_flow()}


def test_the_stories_contain_every_step_of_the_graph_and_only_those():
    flow = FLOWS["booking"]
    content = yaml.safe_load(as_rasa(flow))
    graph = flow.graph()
    users = [node for node in graph.actions if flow.speaker_of(node) == "user"]
    others = [node for node in graph.actions if node not in users]
    names = dict(zip(users, content["intents"], strict=True)) | dict(zip(others, content["responses"], strict=True))
    node_of = {name: node for node, name in names.items()}
    assert len(node_of) == len(graph.actions)
    paths = []
    for story in content["stories"]:
        steps = [node_of[value] for step in story["steps"] for value in step.values()]
        assert all(("intent" in step) == (node in users) for step, node in zip(story["steps"], steps, strict=True))
        paths.append([START, *steps, END])
    assert {edge for path in paths for edge in pairwise(path)} == set(graph.counts)
    assert paths[0] == flow.happy_path()
    assert [of["intent"] for of in content["nlu"]] == content["intents"]


@pytest.mark.parametrize("name", FLOWS)
def test_the_file_is_read_as_dialogues(name: str, tmp_path: Path):
    file = write(FLOWS[name], tmp_path / "flow.rasa.yml")
    stories = yaml.safe_load(file.read_text("utf-8"))["stories"]
    found = dialogues(read(file))
    assert [len(turns) for turns in found.values()] == [len(story["steps"]) for story in stories]
    responses = yaml.safe_load(file.read_text("utf-8"))["responses"]
    for story, turns in zip(stories, found.values(), strict=True):
        for step, (who, text) in zip(story["steps"], turns, strict=True):
            said = step["intent"] if "intent" in step else responses[step["action"]][0]["text"]
            assert (who, text) == ("user" if "intent" in step else "bot", " ".join(said.split()))


def test_examples_contain_no_annotation():
    turns = [("user", "x", '[Rome](city) {"a": 1}'), ("bot", "y", "yes")]
    content = yaml.safe_load(as_rasa(flow_of([("1", turns), ("2", turns)])))
    assert content["nlu"][0]["examples"] == '- (Rome)(city) ("a": 1)\n'


@pytest.mark.parametrize(
    ("speakers", "user"),
    [
        (("Agent", "Customer 2"), "Customer 2"),
        (("Customer service", "Caller"), "Caller"),
        (("Anna", "Ben"), "Anna"),
        (("Visitor", "Bot"), "Visitor"),
    ],
)
def test_the_user_is_found_by_name_or_begins(speakers: tuple[str, str], user: str):
    turns = [(who, f"act of {who}", f"words of {who}") for who in speakers]
    content = yaml.safe_load(as_rasa(flow_of([("1", turns), ("2", turns)])))
    assert [of["examples"] for of in content["nlu"]] == [f"- words of {user}\n"]
