from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import samples
from markupsafe import Markup
from samples import HOSTILE

from nearfar.reports import Page, flat_map, line_chart


class Outline(HTMLParser):
    """The elements of a page with their attributes, and the text inside each kind."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.starts: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, list[str]] = {}
        self._open = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.starts.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data):
        self.content.setdefault(self._open, []).append(data)


@pytest.mark.parametrize("name", ["compare", "hostile", "odd"])
def test_the_same_calls_give_the_same_bytes(name):
    build = getattr(samples, f"{name}_page")
    assert build().html() == build().html()


def test_pages_are_small(pages):
    assert pages["compare"].stat().st_size < 500_000


def test_hostile_texts_add_no_element(pages):
    outline = Outline(pages["hostile"].read_text("utf-8"))
    tags = [tag for tag, _ in outline.starts]
    assert "img" not in tags
    assert tags.count("script") == 2 + tags.count("figure")  # the data, the page's own, and each figure's numbers
    assert tags.count("style") == tags.count("title") == 1
    assert not [key for _, attributes in outline.starts for key in attributes if key.startswith("on")]
    assert outline.content["h1"][0] == samples.HOSTILE
    assert "49" not in outline.content["h1"][0]


def test_hostile_json_reads_back(pages):
    html = pages["hostile"].read_text("utf-8")
    found = re.search(r'<script type="application/json" id="d">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    assert json.loads(found[1]) == {samples.HOSTILE: samples.HOSTILE}


def test_markup_of_a_caller_is_shown_literally():
    page = Page(Markup("<i>t</i>"))
    page.text(Markup("<b>bold</b>"))
    page.table([Markup("<u>")], [[Markup("<s>")]])
    html = page.html()
    assert not re.search("<(i|b|u|s)>", html)
    assert "&lt;b&gt;bold" in html


def test_nothing_is_loaded_from_another_place(pages):
    for path in pages.values():
        for _, attributes in Outline(path.read_text("utf-8")).starts:
            assert not {"src", "srcset", "action", "style"} & set(attributes)
            assert attributes.get("href") in (None, "data:,")


def test_the_policy_allows_only_the_pages_own_style_and_script(pages):
    html = pages["compare"].read_text("utf-8")
    metas = [attributes for tag, attributes in Outline(html).starts if tag == "meta"]
    policy = next(meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert len(body) == 1
        digest = base64.b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_every_figure_has_a_table_of_its_numbers(pages):
    tags = [tag for tag, _ in Outline(pages["compare"].read_text("utf-8")).starts]
    assert tags.count("figure") == tags.count("details") == 8
    assert tags.count("table") == 9


def numbers(html: str) -> list[dict]:
    return [json.loads(text) for text in re.findall(r'<script [^>]*class="numbers">(.*?)</script>', html, re.DOTALL)]


def test_all_numbers_of_a_figure_are_in_the_page_with_every_digit():
    points = [(step, math.sin(step) / 3) for step in range(5000)]
    page = Page("t")
    page.figure(line_chart({"loss": points}, title="Long"))
    page.figure(flat_map({"a": [(1, 0.1 + 0.2, HOSTILE)], "b": [(2, 2, "=1+1")]}, title="Dots"))
    html = page.html()
    long, dots = numbers(html)
    assert long == {"columns": ["step", "loss"], "rows": [list(point) for point in points]}
    assert dots["rows"] == [["a", HOSTILE, 1.0, 0.1 + 0.2], ["b", "=1+1", 2.0, 2.0]]
    assert "400 of 5,000 rows" in html
    assert html.count("<tr>") == 401 + 3


def test_a_page_stays_small_whatever_its_figures_contain(tmp_path: Path):
    page = Page("t")
    for title in ("one", "two"):
        dots = {
            "a": [(i, i % 77, f"row {i}: " + "a text as long as sentences are in many datasets") for i in range(20_000)]
        }
        page.figure(flat_map(dots, title=title, caption="Close is similar."))
    html = page.html()
    assert "Close is similar. 2,858 of 20,000 " in html
    assert len(numbers(html)) == 1
    assert html.count('<p class="count">') == 1
    assert page.write(tmp_path / "report.html").stat().st_size < 5_000_000


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path):
    target = tmp_path / "report.html"
    target.write_text("old")
    assert Page("new").write(target) == target
    assert "<h1>new</h1>" in target.read_text("utf-8")
    assert list(tmp_path.iterdir()) == [target]


def test_a_page_too_large_is_refused_and_the_old_file_stays(tmp_path: Path):
    target = tmp_path / "report.html"
    target.write_text("old")
    page = Page("t")
    page.text("x" * 5_000_001)
    with pytest.raises(ValueError, match="5,000,000"):
        page.write(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_text_breaks_into_paragraphs_at_empty_lines():
    page = Page("t")
    page.section("s", text="one\nstill one\n\ntwo")
    assert page.html().count('<p class="text">') == 2


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda page: page.verdict("x", tone="great"), "'great'"),
        (lambda page: page.data("a b", 1), "'a b'"),
        (lambda page: page.data("a", float("nan")), "JSON"),
        (lambda page: (page.data("a", 1), page.data("a", 2)), "'a'"),
        (lambda page: page.table(["a"], [[1, 2]]), "row 0"),
    ],
)
def test_invalid_arguments_are_refused(call, named):
    with pytest.raises(ValueError, match=named):
        call(Page("t"))
