from __future__ import annotations

import pytest
from markupsafe import Markup

from nearfar.reports import Figure, Table
from nearfar.reports.figure import NARROW, WIDE, Drawing, compose

TABLE = Table(["x"], [[1]])


def test_a_image_must_be_markup():
    with pytest.raises(TypeError, match="str"):
        Figure("t", "<svg></svg>", Markup("<svg></svg>"), TABLE)  # type: ignore[arg-type]


@pytest.mark.parametrize("named", [(), (WIDE,), (NARROW,), (WIDE, NARROW)])
def test_each_width_is_drawn_once_and_the_legend_is_shown_where_names_are_missing(named):
    drawn = []

    def draw(width: int) -> Drawing:
        drawn.append(width)
        return Drawing(Markup(f"<svg>{width}</svg>"), width in named)

    figure = compose(draw, title="t", table=TABLE, legend=[(Markup("<svg></svg>"), "a")])
    assert drawn == [WIDE, NARROW]
    assert (figure.wide, figure.narrow) == (Markup("<svg>760</svg>"), Markup("<svg>358</svg>"))
    assert bool(figure.legend) is (len(named) < 2)
    assert figure.wide_legend is (WIDE not in named)
