"""SVG elements, and the look of series."""

from __future__ import annotations

from xml.etree import ElementTree

from markupsafe import Markup

from nearfar.reports._svg import COLOURS, MAX_SERIES, Look, canvas, element, group, path


def test_names_numbers_and_texts_are_written_and_escaped() -> None:
    assert element("rect", x=1.0, y=-0.001, rx=2.346, fill=None, class_="a", stroke_width="<2>") == (
        '<rect x="1" y="0" rx="2.35" class="a" stroke-width="&lt;2&gt;"/>'
    )
    assert element("text", "<b>", Markup("<tspan/>")) == "<text>&lt;b&gt;<tspan/></text>"


def test_a_group_of_nothing_is_nothing() -> None:
    assert group([], class_="a") == ""
    assert group([element("line"), element("rect")], class_="a") == '<g class="a"><line/><rect/></g>'


def test_an_image_is_described_and_a_path_joins_its_points() -> None:
    found = ElementTree.fromstring(canvas(20, 10.5, [path([(0, 1), (2.005, 3)])], alt='a "b" <c>'))
    assert found.attrib == {"viewBox": "0 0 20 10.5", "role": "img", "aria-label": 'a "b" <c>'}
    assert found[0].attrib["d"] in ("M0 1L2 3", "M0 1L2.01 3")


def test_no_two_series_look_alike() -> None:
    looks = {(look.css, look.dash) for look in map(Look, range(MAX_SERIES))}
    assert len(looks) == MAX_SERIES
    assert [Look(number).dash for number in range(COLOURS)] == [None] * COLOURS
    shapes = {Look(number).marker(0, 0, 3).split(" ")[0] + str(number % 4) for number in range(4)}
    assert len({shape[:5] for shape in shapes}) == 3, "circle, rect and two polygons"


def test_markers_are_around_their_point() -> None:
    for number in range(4):
        found = ElementTree.fromstring(Look(number).marker(50.0, 30.0, 4.0))
        if found.tag == "circle":
            assert (found.get("cx"), found.get("cy")) == ("50", "30")
        elif found.tag == "rect":
            x, width = (float(found.get(name, "")) for name in ("x", "width"))
            assert x + width / 2 == 50
        else:
            points = [tuple(map(float, point.split(","))) for point in found.get("points", "").split()]
            assert min(x for x, _ in points) < 50 < max(x for x, _ in points)
            assert sum(x for x, _ in points) / len(points) == 50
