"""The page of an inspection: whole and silent in a browser, whatever the texts hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from nearfar.inspection import Inspection, inspect
from nearfar.reports.charts.flat_map import flat_map
from nearfar.reports.inspection import GROUPS, grouped, inspection_page, measure_rows, verdict

DOT = r'<circle cx="([0-9.]+)" cy="([0-9.]+)"[^>]*data-tip="([a-e])'
HOSTILE = "</script><img src=x onerror=alert(1)><b>{{7*7}}"


def found(n: int = 300, labels: int = 20, text: str = "text {i}") -> Inspection:
    rng = np.random.default_rng(0)
    kinds = rng.integers(labels, size=n)
    vectors = [rng.normal(size=(labels, 16))[kinds] + spread * rng.normal(size=(n, 16)) for spread in (0.5, 2.0)]
    rows = Dataset.from_dict(
        {"text": [text.replace("{i}", str(i)) for i in range(n)], "label": [f"l{k}" for k in kinds]}
    )
    return inspect(vectors[0], rows, against=vectors[1], near_duplicate=0.9)


@pytest.fixture(scope="module")
def look() -> Inspection:
    return found(text=HOSTILE + " {i}")


def test_measures_side_by_side(look: Inspection) -> None:
    rows = {str(row[0]): row[1:-1] for row in measure_rows(look)}
    assert "alignment" not in rows
    tolerance, separation = rows["tolerance"], rows["separation"]
    assert tolerance[0] == f"{look.measures['tolerance']:.3f}"
    # A mean over items has its interval, a measure of the whole set has none.
    assert str(separation[2]).count(",") == 1
    assert "[" not in str(tolerance[2])


def test_verdict_counts(look: Inspection) -> None:
    line = verdict(look)
    assert f"{look.false_negative_rows:,} rows have" in line
    assert f"of {look.dims} directions" in line
    assert "0 rows repeat" in line


def test_small_groups_are_one_in_grey(look: Inspection) -> None:
    """The others are the largest, and no point is lost."""
    groups, rest = grouped((point.group, point) for point in look.points)
    assert rest == f"{20 - GROUPS} other labels"
    assert list(groups)[-1] == rest
    assert sum(map(len, groups.values())) == len(look.points)
    sizes = [len(points) for points in groups.values()][:-1]
    assert sizes == sorted(sizes, reverse=True)
    assert str(rest) in inspection_page(look).html()
    few, nothing = grouped((point.group, point) for point in look.points if point.group in ("l1", "l2"))
    assert set(few) == {"l1", "l2"}
    assert nothing is None


def test_a_map_has_one_scale_and_its_rest_behind() -> None:
    square = [(0.0, 0.0, "a"), (4.0, 0.0, "b"), (4.0, 2.0, "c")]
    figure = flat_map({"rest": [(1.0, 1.0, "d")], "group": square, "other": [(2.0, 1.0, "e")]}, title="m", rest="rest")
    for picture in (figure.wide, figure.narrow):
        circles = {tip: (float(x), float(y)) for x, y, tip in re.findall(DOT, str(picture))}
        (ax, ay), (bx, by), (cx, cy) = (circles[name] for name in "abc")
        assert ay == by
        assert bx == cx
        assert (bx - ax) == pytest.approx(2 * (by - cy), abs=0.05)
        assert cy < by  # up is up
    assert str(figure.wide).index('data-tip="d') < str(figure.wide).index('data-tip="a')
    assert str(figure.wide).count('fill-opacity="0.25"') == 1
    assert [name for _, name in figure.legend] == ["group", "other", "rest"]
    assert ">rest<" not in str(figure.wide)
    with pytest.raises(ValueError, match="finite"):
        flat_map({"a": [(float("nan"), 0.0, "")]}, title="m")
    assert "cx" in str(flat_map({"a": [(1.0, 1.0, "one")]}, title="m").wide)


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


def test_long_texts_of_many_items_leave_the_page_small(tmp_path: Path) -> None:
    page = inspection_page(found(3000, 4, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 400 + "{i}")).write(
        tmp_path / "report.html"
    )
    assert page.stat().st_size < 5_000_000
