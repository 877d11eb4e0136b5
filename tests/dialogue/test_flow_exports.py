"""Graphs as other programs read them, and what hostile texts do to them: nothing."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from flows import HOSTILE, booking_flow, hostile_flow

from nearfar.dialogue import Rules, write
from nearfar.dialogue.exports import as_dot, as_mermaid
from nearfar.dialogue.page import page, page_data
from nearfar.errors import InputError
from nearfar.reports.text import plain

FLOWS = {"booking": booking_flow(30), "hostile": hostile_flow()}
MERMAID_NODE = re.compile(r'  n(\d+)(?:\(\["([^"\n]*)"\]\)|\["([^"\n]*)"\])')
MERMAID_EDGE = re.compile(r"  n(\d+) -->\|(\d+)\| n(\d+)")
DOT_NODE = re.compile(r'  n(\d+) \[label="((?:[^"\\\n]|\\["\\n])*)"(?:, shape=oval)?\];')
DOT_EDGE = re.compile(r'  n(\d+) -> n(\d+) \[label="(\d+)"\];')


def wanted(flow) -> tuple[dict[int, str], set[tuple[int, int, int]]]:
    graph = flow.graph()
    names = {0: "start", 1: "end"}
    for node in graph.actions:
        names[node] = f"{flow.speaker_of(node)}: {flow.described[node - 2].name}"
    texts = {node: " ".join(plain(names[node]).split()) for node in graph.nodes}
    return texts, {(a, b, count) for (a, b), count in graph.counts.items()}


@pytest.mark.parametrize("name", FLOWS)
def test_mermaid_is_nodes_and_edges_in_its_grammar(name):
    first, *lines = as_mermaid(FLOWS[name]).splitlines()
    assert first == "flowchart TD"
    nodes, edges = {}, set()
    for line in lines:
        if found := MERMAID_NODE.fullmatch(line):
            text = found[2] or found[3]
            assert not re.search(r"[<>`&*_~\[\]{}|\\]", text)
            nodes[int(found[1])] = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text)
        else:
            found = MERMAID_EDGE.fullmatch(line)
            assert found, line
            edges.add((int(found[1]), int(found[3]), int(found[2])))
    assert (nodes, edges) == wanted(FLOWS[name])


@pytest.mark.parametrize("name", FLOWS)
def test_dot_is_nodes_and_edges_in_its_grammar(name):
    lines = as_dot(FLOWS[name]).splitlines()
    assert lines[0] == "digraph flow {"
    assert lines[-1] == "}"
    nodes, edges = {}, set()
    for line in lines[2:-1]:
        if found := DOT_NODE.fullmatch(line):
            text = re.sub(r"\\(.)", lambda mark: " " if mark[1] == "n" else mark[1], found[2])
            nodes[int(found[1])] = html.unescape(text)
        else:
            found = DOT_EDGE.fullmatch(line)
            assert found, line
            edges.add((int(found[1]), int(found[2]), int(found[3])))
    assert (nodes, edges) == wanted(FLOWS[name])


@pytest.mark.parametrize("name", FLOWS)
def test_json_holds_the_pruned_graph(name, tmp_path: Path):
    flow = FLOWS[name]
    found = json.loads(write(flow, tmp_path / "flow.json").read_text("utf-8"))
    graph = flow.graph()
    assert {node["id"]: node.get("count", 1) for node in found["nodes"]} == graph.nodes
    assert {(e["source"], e["target"]): (e["count"], e["weight"]) for e in found["edges"]} == {
        edge: (count, graph.weights[edge]) for edge, count in graph.counts.items()
    }
    assert found["happy_path"] == flow.happy_path()
    assert found["about"]["dialogues"] == len(flow.log)
    texts = {example["text"] for node in found["nodes"] for example in node.get("examples", [])}
    assert texts <= set(flow.log.texts)


def test_the_page_swallows_no_hostile_text():
    text = page(FLOWS["hostile"])
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert "\x00" not in text
    assert "\x08" not in text
    data = text.partition('<script type="application/json" id="flow">')[2].partition("</script>")[0]
    assert not set("<>&") & set(data)
    assert json.loads(data) == page_data(FLOWS["hostile"])
    assert plain(" ".join(f"{HOSTILE} one".split())) in json.loads(data)["texts"]


def test_the_page_loads_nothing_and_is_the_same_each_time():
    text = page(FLOWS["booking"])
    assert text == page(booking_flow(30))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe" not in policy[1]
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    scripts = Path(__file__).parents[2] / "src" / "nearfar" / "dialogue" / "static"
    for script in scripts.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.read_text("utf-8")
        )


def test_the_page_holds_views_of_all_and_of_each_speaker():
    flow = FLOWS["booking"]
    data = page_data(flow)
    assert set(data["views"]) == {"all", "0", "1"}
    for name, steps in data["views"].items():
        counts = flow.counts(None if name == "all" else int(name))
        assert {(a, b): count for a, b, count in steps} == counts
    name, left, *flat = data["paths"][0]
    assert (name, left) == ("call 0", 0)
    turns = flow.log.dialogue(0)
    assert flat[::2] == flow.nodes[turns].tolist()
    assert [data["texts"][text] for text in flat[1::2]] == [flow.log.texts[i] for i in flow.log.text[turns]]


def test_a_page_of_many_long_dialogues_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch):
    from nearfar.dialogue import page as module

    monkeypatch.setattr(module, "_PATHS_BYTES", 4000)
    monkeypatch.setattr(module, "_SHOWN_TURNS", 3)
    monkeypatch.setattr(module, "_STEPS", 10)
    flow = FLOWS["booking"]
    data = page_data(flow)
    assert 1 <= len(data["paths"]) < 30
    assert all(
        left == len(range(*flow.log.dialogue(int(name.split()[1])).indices(10**9))) - 3
        for name, left, *_ in data["paths"]
    )
    assert len(data["views"]["all"]) == 10
    text = page(flow)
    assert f"{len(data['paths'])} of 30, drawn at random" in text
    assert "rarest steps" in text


def test_a_page_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nearfar.dialogue.page.MAX_BYTES", 20_000)
    with pytest.raises(InputError, match="more than 20,000; ask for fewer actions"):
        page(FLOWS["booking"])


@pytest.mark.parametrize(
    ("name", "message"), [("flow.pdf", "cannot tell the format from '.pdf'"), ("dir.html", "is a folder")]
)
def test_bad_targets(name: str, message: str, tmp_path: Path):
    (tmp_path / "dir.html").mkdir()
    with pytest.raises(InputError, match=message):
        write(FLOWS["booking"], tmp_path / name)


def test_an_empty_graph_is_written_too(tmp_path: Path):
    flow = booking_flow(5, rules=Rules("prob-out", 1.0, 1.0))
    assert flow.graph().nodes == {}
    for ending in ("html", "json", "mmd", "dot"):
        assert write(flow, tmp_path / f"flow.{ending}").stat().st_size > 10
