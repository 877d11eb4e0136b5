"""The page and the summary of a language model's inspection."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset

from nearfar.inspection.language import LanguageInspection, inspect_language
from nearfar.inspection.language.page import language_page
from nearfar.inspection.language.summary import measure_rows, verdict
from page_reading import read_page

TEXTS = [f"the cat number {n} sits on a mat in the house under the tree" for n in range(8)]


@pytest.fixture(scope="module")
def found(tiny_lm_folder: Path, quick_probes: None) -> LanguageInspection:
    return inspect_language(tiny_lm_folder, Dataset.from_dict({"text": TEXTS}), tokens=400, contexts=80, offsets=2)


def test_page_shows_every_part(found: LanguageInspection, tmp_path: Path) -> None:
    page = language_page(found, [("data", "texts.txt")])
    read = read_page(page)
    assert verdict(found) in read.verdict
    assert len(read.figures) == 8
    assert read.facts["data"] == "texts.txt"
    layers = read.figures[1]
    assert [row[:2] for row in layers["rows"]] == [[each.layer, each.found.alignment] for each in found.layers]
    assert any("by construction" in text for text in read.texts)
    table = read.table("drafter reads")
    assert [row["drafter reads"] for row in table] == list(found.drafting.tokens)  # pyright: ignore[reportOptionalMemberAccess]
    assert "svg" in page.write(tmp_path / "report.html").read_text("utf-8")


def test_what_the_kernel_is_made_of(found: LanguageInspection) -> None:
    assert found.kernel is not None
    taught = replace(found, kernel=replace(found.kernel, of="<b>teacher</b>"))
    assert any("<b>teacher</b>" in text for text in read_page(language_page(taught)).texts)
    assert "<b>teacher</b>" in verdict(taught)


def test_parts_that_were_not_measured_are_not_shown(found: LanguageInspection) -> None:
    bare = replace(found, kernel=None, layers=[], drafting=None, gap_interval=None)
    assert len(read_page(language_page(bare)).figures) == 2
    assert len(measure_rows(bare)) < len(measure_rows(found))


def test_confidence_needs_an_interval_without_zero(found: LanguageInspection) -> None:
    sure = replace(found, laws={**found.laws, "gap": -0.5}, gap_interval=(-0.6, -0.4))
    unsure = replace(sure, gap_interval=(-0.6, 0.1))
    assert "over-confident" in verdict(sure)
    assert "over-confident" not in verdict(unsure)
    assert "under-confident" in verdict(replace(sure, laws={**found.laws, "gap": 0.5}, gap_interval=(0.4, 0.6)))
