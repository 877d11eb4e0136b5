"""Requirements of every page that a command writes: style, accessibility, screen sizes and print."""

from __future__ import annotations

import base64
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from real_pages import PAGES
from test_browser import CLASHES

import nearfar

pytestmark = pytest.mark.browser

# Texts whose contrast with what lies behind them misses WCAG AA: 4.5, or 3 for large ones.
FAINT = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, alpha, below) => top.map((c, i) => c * alpha + below[i] * (1 - alpha));
  const ground = (element) => {
    for (let box = element; box !== null; box = box.parentElement) {
      if (box instanceof SVGElement) continue;
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(box).backgroundColor);
      if (alpha === 1) return [r, g, b];
      if (alpha > 0) throw new Error("a half transparent background");
    }
    throw new Error("no background");
  };
  const found = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.textContent.trim() === "" || element.closest("script, option") !== null) continue;
    if (!element.checkVisibility({ visibilityProperty: true }) || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    let behind = ground(element);
    let ink = style.color;
    if (element instanceof SVGElement) {
      ink = style.fill;
      const tile = element.parentElement.querySelector(":scope > .cell, :scope > .box, :scope > .ends");
      if (tile !== null) {
        const fill = getComputedStyle(tile);
        behind = over(numbers(fill.fill).slice(0, 3), Number(fill.fillOpacity), behind);
      }
    }
    const [a, b] = [light(numbers(ink)), light(behind)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    seen++;
    if (ratio < (large ? 3 : 4.5)) found.push(`${element.textContent.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  if (seen < 20) throw new Error(`only ${seen} texts were looked at`);
  return found;
})()
"""
OPEN = "document.querySelectorAll('details').forEach((box) => { box.open = true; })"
SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="session")
def real_page(tmp_path_factory, tiny_model_folder, tiny_lm_folder):
    """A page by its name, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("real")
    made: dict[str, Path] = {}

    def page(name: str) -> Path:
        if name not in made:
            made[name] = PAGES[name](folder / name, {"encoder": tiny_model_folder, "language": tiny_lm_folder})
        return made[name]

    return page


def test_no_page_is_forgotten():
    """Every module that builds a page, beside the maker of what it shows, has its page here."""
    modules = [name for _, name, _ in pkgutil.walk_packages(nearfar.__path__, "nearfar.") if name.endswith("page")]
    builders = {
        name
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if re.fullmatch(r"[a-z]+_page", name) and value.__module__ == module
    }
    there = {"comparison_page": "compare", "inspection_page": "inspect", "language_page": "language_model"}
    assert {there.get(name, name.removesuffix("_page")) for name in builders} <= set(PAGES)
    assert len(builders) >= 5


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_silent_and_readable_on_desk_and_telephone(browser, real_page, name):
    page = real_page(name)
    assert page.stat().st_size < 5_000_000
    for width, scheme in ((1200, "light"), (1200, "dark"), (390, "light"), (390, "dark")):
        browser.open(page, width=width, scheme=scheme, height=900)
        browser.evaluate(f"{OPEN}, {SETTLED}")
        assert browser.problems == []
        # Images within the page are reported, but nothing is fetched for them.
        assert [url for url in browser.requests if not url.startswith("data:image/")] == [page.as_uri()]
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate(FAINT) == []
        assert browser.evaluate(CLASHES) == []
        ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) > 382) is (scheme == "light")


@pytest.mark.parametrize("name", PAGES)
def test_every_image_has_its_numbers_behind_it(browser, real_page, name):
    browser.open(real_page(name), width=1200)
    browser.evaluate(f"{OPEN}, {SETTLED}")
    rows = "document.querySelectorAll('#numbers tbody tr').length"
    if name == "flow":
        assert browser.evaluate(rows) > 5
        return
    figures = """[...document.querySelectorAll('figure')].map((figure) => [
      figure.querySelectorAll('.wide svg').length,
      figure.querySelectorAll('details tbody tr').length,
      JSON.parse(figure.querySelector('script.numbers').textContent).rows.length,
      figure.querySelectorAll('details .save').length,
    ])"""
    found = browser.evaluate(figures)
    assert found
    for images, shown, kept, saves in found:
        assert images == saves == 1
        assert 1 <= shown <= kept
    assert browser.evaluate("document.querySelectorAll('svg[role=img]').length") == 2 * len(found)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints(browser, real_page, name):
    # The dark scheme is printed on white, without the controls that only work on a screen.
    browser.open(real_page(name), width=1200, scheme="dark")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=features)
    try:
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        gone = ".narrow, .legend.for-narrow, .save, details:not([open]), .tools, .view-buttons"
        count = f"[...document.querySelectorAll('{gone}')].filter((box) => box.checkVisibility()).length"
        assert browser.evaluate(count) == 0
        assert browser.evaluate(FAINT.replace("seen < 20", "seen < 5")) == []
        paper = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
    assert paper.startswith(b"%PDF")
    sheets = len(re.findall(rb"/Type\s*/Page\b", paper))
    assert 1 <= sheets <= 14
