"""Edits on the workflow page, checked in a real browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows import booking_flow
from nearfar.dialogue import write
from nearfar.dialogue.edits.applying import apply_edits
from nearfar.dialogue.edits.file import read_edits
from nearfar.dialogue.words.wording import Wording

pytestmark = pytest.mark.browser

PENDING = "[...document.querySelectorAll('#edits li span:first-child')].map((row) => row.textContent)"
#: What "Download edits" would save.
SAVED = """new Promise((done) => {
  Exports.save = (name, blob) => blob.text().then((text) => done([name, text]));
  document.getElementById('edits-save').click();
})"""


def press(browser, key: str, text: str = "") -> None:
    for kind in ("keyDown", "keyUp"):
        more = {"text": text} if text and kind == "keyDown" else {}
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=13, **more)


def test_actions_are_renamed_merged_split_and_undone_and_the_file_is_read_again(browser, tmp_path: Path):
    flow = booking_flow(20)
    browser.open(write(flow, tmp_path / "flow.html"), width=1400, height=900)
    drawn = browser.evaluate("document.getElementById('node-layer').textContent")
    open_action = """((name) => {
      [...document.querySelectorAll('#actions .row')].find((row) => row.textContent.startsWith(name)).click();
      document.querySelector('#details .editing').open = true;
    })"""
    # By keyboard: a name is typed, and Enter applies it.
    browser.evaluate(f"{open_action}('Which city'), document.querySelector('#details form.edit input').select()")
    browser.evaluate("document.querySelector('#details form.edit input').focus()")
    browser.call("Input.insertText", text="ask <b>where</b>")
    press(browser, "Enter", "\r")
    rows = browser.evaluate(PENDING)
    assert len(rows) == 1
    assert "ask <b>where</b>" in rows[0]
    # The other two with their buttons, and one that is undone.
    click = "[...document.querySelectorAll('#details button')].find((each) => each.textContent === '{}').click()"
    browser.evaluate(f"{open_action}('For what date')")
    merged = browser.evaluate("document.querySelector('#details form.edit select option').textContent")
    browser.evaluate(click.format("Merge"))
    browser.evaluate(f"{open_action}('Which time'), {click.format('Split')}")
    browser.evaluate(f"document.querySelector('#details .check input').checked = true, {click.format('Split off')}")
    assert len(browser.evaluate(PENDING)) == 4
    browser.evaluate("document.querySelectorAll('#edits button')[2].click()")
    assert len(browser.evaluate(PENDING)) == 3
    assert browser.evaluate("document.getElementById('edits-note').hidden") is False
    assert browser.evaluate("document.getElementById('node-layer').textContent") == drawn
    name, text = browser.evaluate(SAVED)
    assert browser.problems == []
    assert name == "edits.json"
    file = tmp_path / name
    file.write_text(text)
    edits = read_edits(file)
    assert [edit.kind for edit in edits.edits] == ["rename", "merge", "split"]
    texts = {flow.log.texts[i] for i in range(len(flow.log.texts))}
    assert all(example in texts for edit in edits.edits for of in edit.actions for example in of.examples)
    # The next run renames what was shown; other edits need vectors.
    none = flow.actions.closeness[:0].reshape(0, 1)
    wording = Wording(flow.log, none)
    found = apply_edits(flow.log, none, flow.actions, flow.described, edits, [0], wording)
    assert "ask <b>where</b>" in [of.name for of in found.described]
    assert json.loads(text)["edits"][1]["actions"][1]["name"] == merged


def test_edits_that_the_graph_contains_are_listed_and_downloaded_again(browser, tmp_path: Path):
    raw = {"edit": "rename", "action": {"speaker": "agent", "examples": ["Which city? 0"]}, "name": "ask"}
    flow = replace(booking_flow(5), edits=(raw,))
    browser.open(write(flow, tmp_path / "flow.html"), width=1400, height=900)
    assert len(browser.evaluate(PENDING)) == 1
    assert browser.evaluate("document.getElementById('edits-note').hidden") is True
    browser.evaluate("document.querySelector('#edits button').click()")
    _, text = browser.evaluate(SAVED)
    assert json.loads(text) == {"nearfar_edits": 1, "edits": []}
