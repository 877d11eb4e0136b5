from __future__ import annotations

import base64
import io

import pytest
from helpers_charts import elements
from PIL import Image

from nearfar.reports.charts.thumbnails import Thumbnail, thumbnails


def image(name: str, grey: int = 0) -> Thumbnail:
    stream = io.BytesIO()
    Image.new("L", (4, 4), grey).save(stream, "PNG")
    return Thumbnail(stream.getvalue(), name)


def test_each_image_is_in_the_page_with_its_name() -> None:
    pairs = [([image("a"), image("b", 100)], [image("<c>", 200)])]
    figure = thumbnails(["one"], pairs, title="t", heads=("high", "low"))
    for drawing in (figure.wide, figure.narrow):
        found = elements(drawing, "image")
        assert len(found) == 3
        assert base64.b64decode(found[1].get("href", "").partition(",")[2]) == pairs[0][0][1].png
        assert "&lt;c&gt;" in drawing
    assert figure.table.rows == [["one", "a\nb", "<c>"]]


def test_the_second_group_is_beside_the_first_or_on_a_phone_below_it() -> None:
    pairs = [([image(str(number)) for number in range(6)], [image("x")])] * 2
    figure = thumbnails(["one", "two"], pairs, title="t", heads=("high", "low"))
    wide, narrow = (
        [(float(each.get("x", "")), float(each.get("y", ""))) for each in elements(drawing, "image")]
        for drawing in (figure.wide, figure.narrow)
    )
    assert wide[6][1] == wide[0][1]
    assert wide[6][0] > wide[5][0] + 52
    assert narrow[6][1] > narrow[0][1]
    assert narrow[6][0] == narrow[0][0]
    assert max(x for x, _ in narrow) + 52 <= 358
    assert max(x for x, _ in wide) + 52 <= 760


def test_names_and_groups_must_fit() -> None:
    with pytest.raises(ValueError, match="names"):
        thumbnails([], [], title="t", heads=("a", "b"))
    with pytest.raises(ValueError, match="groups"):
        thumbnails(["one"], [], title="t", heads=("a", "b"))
