"""What a reader of the workflow page sees and can do, checked in a real browser."""

from __future__ import annotations

import base64
import itertools
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from flows import booking_flow, hostile_flow
from nearfar.dialogue import Flow, Rules, write
from nearfar.dialogue.clustering import Actions
from nearfar.dialogue.exports import as_dot, as_mermaid
from nearfar.dialogue.log import Log
from nearfar.dialogue.page import SHOWN_DIALOGUES
from nearfar.dialogue.words.naming import describe

pytestmark = pytest.mark.browser

STATUS = "document.getElementById('status').textContent"
SHOWN = "[...document.querySelectorAll('#node-layer .node')].map((node) => node.node)"
EDGES = "[...document.querySelectorAll('#edge-layer .edge')].map(({edge}) => [edge.a, edge.b, edge.count, edge.weight])"
DRAWN = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
# What an export would save: its name, and its content as a data URL.
SAVED = """new Promise((done) => {
  Exports.save = (name, blob) => {
    const reader = new FileReader();
    reader.onload = () => done([name, reader.result]);
    reader.readAsDataURL(blob);
  };
  const box = document.getElementById('export');
  box.value = '%s';
  box.dispatchEvent(new Event('change'));
})"""


def many(count: int = 10_000, actions: int = 60) -> Flow:
    """As many turns and different texts as in ten thousand dialogues of SGD, assigned beforehand."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(10, 26, count)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    total = int(starts[-1])
    place = np.arange(total) - np.repeat(starts[:-1], lengths)
    speaker = (place % 2).astype(np.int32)
    # Mostly on to a next action, now and then anywhere.
    drift = place // 2 + generator.integers(0, 3, total)
    action = np.where(generator.random(total) < 0.9, drift, generator.integers(0, actions // 2, total)) % (actions // 2)
    turn = action + speaker * (actions // 2)
    variant = generator.integers(0, 2000, total)
    code, text = np.unique(turn * 2000 + variant, return_inverse=True)
    texts = [f"This is what action {c // 2000} may say, for example {c % 2000}, in some words." for c in code.tolist()]
    ids = [f"train/{i}" for i in range(count)]
    log = Log(ids, starts, ["user", "system"], speaker, texts, text.astype(np.int32))
    of = np.repeat(np.arange(2, dtype=np.int32), actions // 2)
    found = Actions(of, turn.astype(np.int32), generator.random(total).astype(np.float32), [], found_in=500)
    facts = {"source": "sgd.jsonl", "model": "minilm", "namer": None, "actions": "auto", "sample": None, "seed": 0}
    return Flow(log, found, describe(log, found), Rules(), facts, write)


@pytest.fixture(scope="module")
def flows() -> dict[str, Flow]:
    return {"5": booking_flow(5), "500": booking_flow(500, variants=40), "10000": many(), "hostile": hostile_flow()}


@pytest.fixture(scope="module")
def pages(flows: dict[str, Flow], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("flows")
    return {name: write(flow, folder / f"{name}.html") for name, flow in flows.items()}


def put(browser, name: str, value: object, event: str) -> None:
    """Give a control a value as a reader would, and wait until the graph is drawn again."""
    browser.evaluate(
        f"(() => {{ const box = document.getElementById('{name}'); if (box.type === 'range') box.step = 'any';"
        f"box.value = '{value}'; box.dispatchEvent(new Event('{event}')); }})(), {DRAWN}"
    )


def set_slider(browser, name: str, value: float) -> None:
    put(browser, name, 100 * value**0.5, "input")


def choose(browser, name: str, value: str) -> None:
    put(browser, name, value, "change")


def agrees(browser, graph) -> None:
    assert browser.evaluate(SHOWN) == list(graph.nodes)
    assert sorted(map(tuple, browser.evaluate(EDGES))) == [
        (*edge, count, graph.weights[edge]) for edge, count in sorted(graph.counts.items())
    ]


@pytest.mark.parametrize("name", ["5", "500", "10000", "hostile"])
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_pages_load_alone_in_silence_and_within_their_width(browser, flows, pages, name, width, scheme):
    browser.open(pages[name], width=width, scheme=scheme, height=900)
    assert browser.problems == []
    assert browser.requests == [pages[name].as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    agrees(browser, flows[name].graph())
    # Nodes do not lie on each other, and the start is in sight.
    clashes = """(() => {
      const boxes = [...document.querySelectorAll('#node-layer .box')].map((box) => box.getBoundingClientRect());
      return boxes.filter((a, i) => boxes.some((b, j) => j > i && a.left < b.right - 1 && b.left < a.right - 1 &&
        a.top < b.bottom - 1 && b.top < a.bottom - 1)).length;
    })()"""
    assert browser.evaluate(clashes) == 0
    inside = """(() => {
      const start = document.querySelector('#node-layer .ends').getBoundingClientRect();
      const stage = document.getElementById('graph').getBoundingClientRect();
      return start.left >= stage.left && start.right <= stage.right && start.top >= stage.top;
    })()"""
    assert browser.evaluate(inside) is True


def test_the_page_of_ten_thousand_dialogues_is_small_and_says_what_it_shows(browser, pages, flows):
    assert pages["10000"].stat().st_size < 5_000_000
    browser.open(pages["10000"], width=1400)
    assert browser.evaluate("document.querySelectorAll('#dialogue option').length") == SHOWN_DIALOGUES + 1
    facts = browser.evaluate("document.querySelector('.facts').innerText")
    assert f"random sample of {SHOWN_DIALOGUES} out of 10,000" in facts
    assert f"{flows['10000'].log.turns:,}" in facts
    assert "random sample of 500 dialogues" in facts


def test_the_graph_is_as_high_as_the_window_without_the_controls(browser, pages):
    ends = (
        "['.tools', '.stage'].map((name) => document.querySelector(name).getBoundingClientRect())"
        ".flatMap(({ top, bottom }) => [top, bottom])"
    )
    for width, height in ((1280, 860), (1000, 700)):
        browser.open(pages["500"], width=width, height=height)
        _, controls, top, bottom = browser.evaluate(ends)
        assert (top, bottom) == (controls, height)
    browser.open(pages["500"], width=1000, height=200)
    _, _, top, bottom = browser.evaluate(ends)
    assert bottom - top == 400


@pytest.mark.parametrize("name", ["5", "500", "10000"])
def test_limits_prune_live_as_python_does(browser, pages, flows, name):
    browser.open(pages[name], width=1400)
    for weighing, edges, nodes in (
        ("prob-out", 0.2, 0.023),
        ("max-out", 0.3, 0.1),
        ("max", 0.05, 0.0),
        ("prob-out", 0.9, 0),
    ):
        choose(browser, "weigh", weighing)
        set_slider(browser, "edges", edges)
        set_slider(browser, "nodes", nodes)
        graph = flows[name].graph(Rules(weighing, edges, nodes))
        agrees(browser, graph)
        shown = browser.evaluate(STATUS)
        assert (f"{len(graph.actions)} of " in shown) if graph.actions else (" of " not in shown)
    assert browser.problems == []


def test_speakers_are_filtered_by_their_own_counts(browser, pages, flows):
    browser.open(pages["500"], width=1400)
    for speaker in (0, 1):
        choose(browser, "view", str(speaker))
        agrees(browser, flows["500"].graph(speaker=speaker))
    choose(browser, "view", "all")
    agrees(browser, flows["500"].graph())


def test_the_main_path_is_that_of_python(browser, pages, flows):
    for name in ("5", "500", "10000"):
        browser.open(pages[name], width=1400)
        happy = "[...document.querySelectorAll('.edge.happy')].map(({edge}) => [edge.a, edge.b])"
        path = flows[name].happy_path()
        assert len(path) > 2
        found = browser.evaluate(happy)
        assert sorted(map(tuple, found)) == sorted(itertools.pairwise(path))
        browser.evaluate("document.getElementById('happy').click()")
        assert browser.evaluate(happy) == []


def test_search_finds_utterances_and_enter_opens_the_first(browser, pages):
    browser.open(pages["500"], width=1400)
    put(browser, "search", "PARIS", "input")
    assert browser.evaluate("[...document.querySelectorAll('#actions .row')].length") == 1
    assert browser.evaluate("document.querySelectorAll('.node:not(.dim)').length") == 1
    browser.evaluate("document.querySelector('form').requestSubmit()")
    assert "Paris" in browser.evaluate("document.querySelector('#details h2').textContent")
    assert browser.evaluate("location.href").endswith("500.html")


def test_a_dialogue_is_followed_turn_by_turn(browser, pages, flows):
    browser.open(pages["5"], width=1400)
    choose(browser, "dialogue", "1")
    flow = flows["5"]
    turns = flow.log.dialogue(1)
    said = browser.evaluate(
        "[...document.querySelectorAll('#turns .row span:first-child')].map((s) => s.lastChild.textContent)"
    )
    assert said == [flow.log.texts[text] for text in flow.log.text[turns]]
    graph = flow.graph()
    walked = [0, *(node for node in flow.nodes[turns].tolist() if node in graph.nodes), 1]
    lit = browser.evaluate("[...document.querySelectorAll('.edge.on')].map(({edge}) => [edge.a, edge.b])")
    assert {tuple(edge) for edge in lit} == {edge for edge in itertools.pairwise(walked) if edge in graph.counts}
    assert set(browser.evaluate("[...document.querySelectorAll('.node:not(.dim)')].map((n) => n.node)")) == set(walked)
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert browser.evaluate("document.getElementById('dialogue').value") == ""


def test_pointer_shows_examples_drags_and_zooms(browser, pages, flows):
    browser.open(pages["5"], width=1400, height=900)
    middle = """(() => { const box = document.querySelectorAll('#node-layer .box')[0].getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2]; })()"""
    x, y = browser.evaluate(middle)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    tip = browser.evaluate("document.querySelector('.tip').hidden ? '' : document.querySelector('.tip').textContent")
    assert flows["5"].described[0].name in tip
    browser.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-240)
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    wide = browser.evaluate("document.querySelector('#node-layer .box').getBoundingClientRect().width")
    assert wide > 204 * 0.8
    nx, ny = browser.evaluate(middle)
    assert abs(nx - x) < 2  # what lies under the pointer stays there
    assert abs(ny - y) < 2
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 60), ("mouseMoved", 120), ("mouseReleased", 120)):
        browser.call(
            "Input.dispatchMouseEvent", type=kind, x=nx + dx, y=ny + 30, button="left", buttons=1, clickCount=1
        )
    assert browser.evaluate(middle)[0] - nx == pytest.approx(120, abs=2)
    assert browser.evaluate("document.getElementById('details').hidden") is True  # a drag is no click
    nx, ny = browser.evaluate(middle)
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=nx, y=ny, button="left", buttons=1, clickCount=1)
    assert browser.evaluate("document.querySelector('#details h2').textContent") == flows["5"].described[0].name


def test_the_graph_is_one_stop_for_the_keyboard(browser, pages, flows):
    browser.open(pages["5"], width=1400)
    assert browser.evaluate("document.querySelectorAll('.node[tabindex=\"0\"]').length") == 1
    browser.evaluate("document.getElementById('graph').focus()")
    names = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        names.append(browser.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert names[0] == "start"
    assert len(set(names)) == 4
    title = browser.evaluate("document.querySelector('#details h2').textContent")
    assert title in names[-1]
    before = browser.evaluate("document.getElementById('world').getAttribute('transform')")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="+", text="+")
    assert browser.evaluate("document.getElementById('world').getAttribute('transform')") != before


def test_exports_are_those_of_the_command_line(browser, pages, flows):
    for name in ("500", "hostile"):
        browser.open(pages[name], width=1400)
        texts = {}
        for ending in ("json", "mmd", "dot", "svg"):
            file, address = browser.evaluate(SAVED % ending)
            assert file == f"flow.{ending}"
            texts[ending] = base64.b64decode(address.partition(",")[2]).decode()
        assert texts["mmd"] == as_mermaid(flows[name])
        assert texts["dot"] == as_dot(flows[name])
        found = json.loads(texts["json"])
        graph = flows[name].graph()
        assert {node["id"]: node.get("count", 1) for node in found["nodes"]} == graph.nodes
        assert {(e["source"], e["target"]): e["weight"] for e in found["edges"]} == graph.weights
        assert found["happy_path"] == flows[name].happy_path()
        image = ElementTree.fromstring(texts["svg"])
        assert image.tag.endswith("svg")
        tags = {element.tag.rpartition("}")[2] for element in image.iter()}
        assert tags <= {"svg", "g", "rect", "path", "text"}
        assert "var(" not in texts["svg"]
        assert browser.problems == []


def test_png_is_an_image_of_the_whole_graph(browser, pages):
    browser.open(pages["500"], width=1400)
    _, address = browser.evaluate(SAVED % "png")
    data = base64.b64decode(address.partition(",")[2])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width > 800
    assert height > 1500
    assert len(data) > 20_000  # not blank
    assert browser.problems == []


def test_hostile_texts_are_shown_literally(browser, pages, flows):
    browser.open(pages["hostile"], width=1400)
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    choose(browser, "dialogue", "0")
    assert "<img src=x onerror=" in browser.evaluate("document.getElementById('turns').textContent")
    browser.evaluate("document.querySelector('#actions .row').click()")
    assert "<script>window.ran = 1</script>" in browser.evaluate("document.getElementById('details').textContent")
    assert browser.evaluate("window.ran === undefined") is True
    assert browser.problems == []


def test_the_graphs_numbers_stand_in_a_table_that_follows_it(browser, pages, flows):
    browser.open(pages["500"], width=390)
    cells = "[...document.querySelectorAll('#numbers tbody tr')].map((row) => [...row.cells].map((c) => c.textContent))"
    assert browser.evaluate(cells) == []
    browser.evaluate(f"document.querySelector('#numbers summary').click(), {DRAWN}")
    flow = flows["500"]
    for rules in (Rules(), Rules("prob-out", 0.3, 0)):
        set_slider(browser, "edges", rules.edges)
        set_slider(browser, "nodes", rules.nodes)
        graph = flow.graph(rules)
        rows = browser.evaluate(cells)
        assert sorted(int(row[2].replace(",", "")) for row in rows) == sorted(graph.counts.values())
        assert all(row[3].endswith("%") for row in rows)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    name, address = browser.evaluate(SAVED % "csv")
    lines = base64.b64decode(address.partition(",")[2]).decode().splitlines()
    assert name == "flow.csv"
    assert lines[0] == "from,to,times,share of steps from there"
    assert len(lines) == 1 + len(graph.counts)
    assert browser.problems == []


def test_no_export_contains_a_formula(browser, pages):
    browser.open(pages["hostile"], width=1400)
    assert browser.evaluate("Exports.csv([['=1+1', '@x', '-a,\"b\"', -1]])") == '\'=1+1,\'@x,"\'-a,""b""",-1\r\n'


def test_paper_gets_the_whole_graph(browser, pages):
    browser.open(pages["500"], width=1400, height=500)
    browser.evaluate("document.getElementById('zoom-in').click()")
    before = browser.evaluate("document.getElementById('world').getAttribute('transform')")
    browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    outside = """(() => {
      const stage = document.getElementById('graph').getBoundingClientRect();
      const sees = (box) => box.left >= stage.left && box.right <= stage.right && box.top >= stage.top &&
        box.bottom <= stage.bottom;
      const nodes = [...document.querySelectorAll('#node-layer .node')];
      return nodes.filter((node) => !sees(node.getBoundingClientRect())).length;
    })()"""
    assert browser.evaluate(outside) == 0
    browser.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate(outside) > 0
    assert browser.evaluate("document.getElementById('world').getAttribute('transform')") == before


@pytest.mark.parametrize(("scheme", "light"), [("light", True), ("dark", False)])
def test_names_stand_out_in_both_schemes(browser, pages, scheme, light):
    browser.open(pages["5"], width=1400, scheme=scheme)
    brightness = (
        "getComputedStyle(document.querySelector('{}')).{}.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    )
    box = browser.evaluate(brightness.format(".node .box", "fill"))
    name = browser.evaluate(brightness.format(".node .box ~ .name", "fill"))
    assert (box > name) is light
    assert abs(box - name) > 400
