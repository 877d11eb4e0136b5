"""The page of one encoder at several sizes."""

from __future__ import annotations

import math

from nearfar.evaluation.result import Result
from nearfar.evaluation.sizes import Sizes
from nearfar.evaluation.sizes_page import layer_names, sizes_page
from page_reading import read_page


def sizes(*scores: tuple[float, ...], layers: tuple[int | None, ...] = (1, 2, None), dims=(8, 16)) -> Sizes:
    results = {
        (depth, width): Result("sts", "spearman", {"spearman": score}, 3)
        for depth, row in zip(layers, scores, strict=True)
        for width, score in zip(dims, row, strict=True)
    }
    return Sizes(layers, dims, results, {depth: 0.5 * number for number, depth in enumerate(layers, 1)})


def test_depths_have_names() -> None:
    assert layer_names(sizes((0, 0), (0, 0), (0, 0))) == ["1 layer", "2 layers", "all layers"]


def test_the_best_and_the_smallest_size() -> None:
    found = read_page(sizes_page(sizes((0.25, 0.5), (0.75, 0.125), (0.6, 0.7))))
    assert "0.750 at 2 layers, 8 dimensions" in found.verdict
    assert "1 layer and 8 dimensions: 0.250" in found.verdict
    assert len(found.figures) == 2
    costs = found.table("seconds")
    assert [row["depth"] for row in costs] == ["1 layer", "2 layers", "all layers"]
    assert [float(row["seconds"]) for row in costs] == [0.5, 1.0, 1.5]


def test_undefined_scores_are_not_drawn_nor_the_best() -> None:
    found = read_page(sizes_page(sizes((math.nan, 0.5), (0.25, 0.125), (0.3, 0.4))))
    assert "0.500 at 1 layer, 16 dimensions" in found.verdict
    assert "1 layer and 16 dimensions" in found.verdict, "the smallest that is defined"
    assert len(found.figures) == 1, "no heatmap with holes"


def test_no_defined_score_is_a_verdict_and_nothing_else() -> None:
    found = read_page(sizes_page(sizes((math.nan, math.nan), layers=(1,))))
    assert found.tone == "bad"
    assert (found.figures, found.tables) == ([], [])


def test_one_depth_has_no_curve() -> None:
    assert len(read_page(sizes_page(sizes((0.1, 0.2), layers=(2,)))).figures) == 1
