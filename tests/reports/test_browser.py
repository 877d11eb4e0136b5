"""What a reader sees, checked in a real browser."""

from __future__ import annotations

import csv
import io

import pytest
import samples

pytestmark = pytest.mark.browser

NAMES = ["compare", "hostile", "odd"]
# Pairs of texts in one image whose boxes overlap, and texts that leave the image.
CLASHES = """
(() => {
  const found = [];
  for (const svg of document.querySelectorAll("figure svg[role=img]")) {
    const frame = svg.getBoundingClientRect();
    if (frame.width === 0) continue;
    const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim() !== "");
    const boxes = texts.map((text) => text.getBoundingClientRect());
    texts.forEach((text, i) => {
      const a = boxes[i];
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1 || a.top < frame.top - 3)
        found.push("outside: " + text.textContent);
      for (let j = i + 1; j < texts.length; j++) {
        const b = boxes[j];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 0.5 && tall > 3) found.push(text.textContent + " | " + texts[j].textContent);
      }
    });
  }
  return found;
})()
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_pages_load_without_requests_console_lines_or_overlaps(browser, pages, name, width, scheme):
    browser.open(pages[name], width=width, scheme=scheme)
    assert browser.problems == []
    assert browser.requests == [pages[name].as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(CLASHES) == []


def test_console_lines_and_dialogs_are_noticed(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text("<script>console.error('heard'); alert(1); nowhere()</script>")
    browser.open(path, width=1200)
    said = " ".join(browser.problems)
    assert "heard" in said
    assert "javascriptDialogOpening" in said
    assert "nowhere" in said


def test_hostile_texts_are_shown_literally(browser, pages):
    browser.open(pages["hostile"], width=1200)
    assert browser.evaluate("document.title").startswith("</script></style></title><img")
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert browser.evaluate("document.querySelector('h2').textContent") == samples.HOSTILE


def test_scripts_put_into_the_page_do_not_run(browser, pages, tmp_path):
    path = tmp_path / "injected.html"
    attack = "<script>window.ran = 1</script><b onclick='window.ran = 2'>b</b>"
    path.write_text(pages["compare"].read_text("utf-8").replace("<footer>", attack + "<footer>"), "utf-8")
    browser.open(path, width=1200)
    assert browser.evaluate("document.querySelector('main > b').click(), window.ran === undefined") is True
    assert any("Content Security Policy" in problem for problem in browser.problems)


@pytest.mark.parametrize(("scheme", "light"), [("light", True), ("dark", False)])
def test_images_follow_the_readers_colour_scheme(browser, pages, scheme, light):
    browser.open(pages["compare"], width=1200, scheme=scheme)
    brightness = "getComputedStyle({}).{}.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) > 382"
    assert browser.evaluate(brightness.format("document.body", "backgroundColor")) is light
    label = "document.querySelector('svg .label')"
    assert browser.evaluate(brightness.format(label, "fill")) is not light


def test_each_width_has_its_own_image(browser, pages):
    shown = "[...document.querySelectorAll('figure > div')].filter((d) => d.offsetWidth > 0).map((d) => d.className)"
    for width, kind in ((1200, "wide"), (390, "narrow")):
        browser.open(pages["compare"], width=width)
        assert set(browser.evaluate(shown)) == {kind}


def test_the_pointer_shows_numbers_as_text(browser, pages):
    browser.open(pages["hostile"], width=1200)
    middle = """(() => { const mark = document.querySelector('.wide .hits g');
      mark.scrollIntoView({block: 'center', behavior: 'instant'});
      const box = mark.querySelector('rect').getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2]; })()"""
    browser.evaluate(middle)
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    x, y = browser.evaluate(middle)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert browser.evaluate("document.querySelector('.tip').hidden") is False
    assert "<img src=x" in browser.evaluate("document.querySelector('.tip').textContent")
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert browser.problems == []


def test_the_table_of_numbers_unfolds(browser, pages):
    browser.open(pages["compare"], width=390)
    height = "document.querySelector('details table').getBoundingClientRect().height"
    before = browser.evaluate("document.querySelector('details').open")
    browser.evaluate("document.querySelector('summary').click()")
    assert before is False
    assert browser.evaluate(height) > 50
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390


def test_all_numbers_can_be_saved_and_contain_no_formula(browser, pages):
    browser.open(pages["hostile"], width=1200)
    browser.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    saved = """new Promise((done) => {
      URL.createObjectURL = (blob) => { blob.text().then(done); return 'about:blank#'; };
      HTMLAnchorElement.prototype.click = () => {};
      document.querySelectorAll('.save')[4].click();
    })"""
    rows = list(csv.reader(io.StringIO(browser.evaluate(saved))))
    assert rows[0] == ["group", "text", "x", "y"]
    assert rows[1:] == [[samples.HOSTILE, samples.HOSTILE, "0", "1"], ["b", "'=1+1", "1", "1"]]
    assert browser.evaluate("document.querySelectorAll('.save').length") == 6
    assert browser.problems == []
