"""The HTML of the workflow page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from flows import HOSTILE, booking_flow, hostile_flow
from nearfar.dialogue.page import SCRIPTS, page, page_data
from nearfar.reports.text import plain

from .helpers import refused

FLOWS = {"booking": booking_flow(30), "hostile": hostile_flow()}


def test_hostile_texts_stay_inside_the_data():
    text = page(FLOWS["hostile"])
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert "\x00" not in text
    assert "\x08" not in text
    data = text.partition('<script type="application/json" id="flow">')[2].partition("</script>")[0]
    assert not set("<>&") & set(data)
    assert json.loads(data) == page_data(FLOWS["hostile"])
    assert plain(" ".join(f"{HOSTILE} one".split())) in json.loads(data)["texts"]


def test_the_page_loads_nothing_and_has_the_same_bytes_each_time():
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


def test_the_page_contains_views_of_all_and_of_each_speaker():
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


def test_a_page_of_many_long_dialogues_reports_what_it_omits(monkeypatch: pytest.MonkeyPatch):
    from nearfar.dialogue import page as module

    monkeypatch.setattr(module, "_PATHS_BYTES", 4000)
    monkeypatch.setattr(module, "_SHOWN_TURNS", 3)
    monkeypatch.setattr("nearfar.dialogue.change_page.STEPS", 10)
    flow = FLOWS["booking"]
    data = page_data(flow)
    assert 1 <= len(data["paths"]) < 30
    assert all(
        left == len(range(*flow.log.dialogue(int(name.split()[1])).indices(10**9))) - 3
        for name, left, *_ in data["paths"]
    )
    assert len(data["views"]["all"]) == 10
    text = page(flow)
    assert f"random sample of {len(data['paths'])} out of 30" in text
    assert f"{sum(data['omitted'].values()):,} rarest steps" in text


def test_a_page_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nearfar.dialogue.page.MAX_BYTES", 20_000)
    assert refused(lambda: page(FLOWS["booking"])) == (None, None, "--actions")


def test_every_script_of_the_folder_is_on_the_page():
    folder = Path(__file__).parents[2] / "src" / "nearfar" / "dialogue" / "static"
    assert sorted(SCRIPTS) == sorted(path.name for path in folder.glob("*.js"))


def test_a_small_page_is_below_120_kilobytes():
    assert len(page(FLOWS["booking"]).encode()) < 120_000


def test_the_notes_about_the_log_are_on_the_page():
    flow = FLOWS["booking"]
    noted = replace(flow, log=replace(flow.log, notes=("left out 1 <b>",)))
    assert "<li>left out 1 &lt;b&gt;</li>" in page(noted)
    assert 'class="notes"' not in page(flow)


def test_the_quality_is_on_the_page():
    flow = FLOWS["booking"]
    assert f"<dd>{100 * flow.explained().steps:.1f}%</dd>" in page(flow)
