"""The page of an inspection: what it states, and that no text breaks it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nearfar.inspection import Inspection
from nearfar.inspection.page import ROWS, inspection_page
from nearfar.inspection.records import FalseNegative, Item, NearDuplicate, Repeat

from .helpers import labelled_inspection

HOSTILE = "</script><img src=x onerror=alert(1)><b>{{7*7}}"


@pytest.fixture(scope="module")
def look() -> Inspection:
    return labelled_inspection(text=HOSTILE + " {i}")


def item(line: int) -> Item:
    return Item("text", line, f"text {line}", None, {"file": "rows.jsonl", "line": line})


def captions(found: Inspection) -> list[str]:
    return re.findall(r"<caption>(.*?)</caption>", inspection_page(found).html())


def test_lists_are_cut_and_say_how_many_there_are(look: Inspection) -> None:
    candidates = [
        FalseNegative(item(i), item(100 + i), 0.25, item(200 + i), 0.75, 1, ("duplicates",) if i < 2 else ())
        for i in range(ROWS + 1)
    ]
    found = replace(
        look,
        against=None,
        differences={},
        confusions=[],
        false_negatives=candidates,
        false_negative_rows=41,
        likely_rows=2,
        near_duplicates=[NearDuplicate(item(1), item(2), 0.96875)],
        near_duplicate_count=1,
        repeats=[Repeat(item(7).place or {}, item(5).place or {}, True)] * 2,
        repeated=2,
        contradictions=1,
    )
    html = inspection_page(found).html()
    assert f"{ROWS} of 41" in html
    assert f"rows.jsonl:{ROWS - 1}: text" in html
    assert f"rows.jsonl:{ROWS}: text" not in html
    assert "0.250  rows.jsonl:101" in html
    assert "0.750  rows.jsonl:201" in html
    false_negatives, duplicates, repeats, _ = (re.sub(r"<.*?>", "", each) for each in captions(found))
    assert "41" in false_negatives
    assert "2 likely" in false_negatives
    assert html.count("supported by duplicates</td>") == 2
    assert re.findall(r"\d+", duplicates) == ["1"]
    assert re.findall(r"\d+", repeats) == ["2", "1"]
    assert "0.969" in html


def test_empty_lists_are_stated(look: Inspection) -> None:
    empty = {"false_negatives": [], "false_negative_rows": 0, "near_duplicates": [], "near_duplicate_count": 0}
    empty |= {"confusions": [], "confused_rows": 0}
    measures = {**look.measures, "false_negative_share": 0.0}
    found = replace(look, against=None, differences={}, measures=measures, **empty)
    text = inspection_page(found).html()
    assert "No row is closer to a row of another label" in text
    assert "No false-negative candidates" in text
    assert f"cosine of {found.threshold:g}" in text
    unlabelled = replace(found, measures={**found.measures, "false_negative_share": None})
    assert "No false-negative candidates" not in inspection_page(unlabelled).html()


def test_a_note_of_both_models_is_written_once(look: Inspection) -> None:
    assert look.against is not None
    found = replace(
        look, notes=("shared note", "only the first"), against=replace(look.against, notes=("shared note",))
    )
    html = inspection_page(found).html()
    assert html.lower().count("shared note") == 1
    assert "vectors: only the first." in html


def test_the_gap_is_on_the_page_where_there_is_one(look: Inspection) -> None:
    assert "linear separability" not in inspection_page(look).html()
    assert "0.8125" not in inspection_page(look).html()
    html = inspection_page(replace(look, gap={"linear_separability": 0.875})).html()
    assert "linear separability" in html
    assert "0.875" in html


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_page_in_a_browser(browser, look: Inspection, tmp_path: Path, width: int, scheme: str) -> None:
    page = inspection_page(look, [("data", HOSTILE)]).write(tmp_path / "report.html")
    browser.open(page, width=width, scheme=scheme)
    assert browser.problems == []
    assert browser.requests == [page.as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.querySelectorAll('img, main b').length") == 0
    assert HOSTILE in browser.evaluate("document.querySelector('main').textContent")
    assert HOSTILE in browser.evaluate("document.querySelector('.points [data-tip]').getAttribute('data-tip')")
    embedded = browser.evaluate("document.getElementById('measures').textContent")
    assert next(iter(json.loads(embedded).values())) == look.measures


def test_long_texts_of_many_items_keep_the_page_small(tmp_path: Path) -> None:
    found = labelled_inspection(3000, 4, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 400 + "{i}")
    assert inspection_page(found).write(tmp_path / "report.html").stat().st_size < 5_000_000
