"""Suggestions for messages."""

from __future__ import annotations

import pytest

from nearfar.data._hints import close_name, overlooked, suggest_columns


@pytest.mark.parametrize(("name", "close"), [("trian", "train"), ("TEST", "test"), ("zebra", None)])
def test_the_most_similar_name(name: str, close: str | None) -> None:
    assert close_name(name, ["train", "test"]) == close


def test_a_mapping_covers_a_whole_schema_if_possible() -> None:
    wanted = [("anchor", "positive"), ("sentence1", "sentence2", "score")]
    assert "anchor=question,positive=answer" in suggest_columns(["question", "answer"], wanted)
    found = suggest_columns(["sent1", "sent2", "similarity"], wanted)
    assert "sentence1=sent1,sentence2=sent2,score=similarity" in found
    assert "or add" in suggest_columns(["x"], [("text", "label")])


def test_ranked_lists_by_other_names() -> None:
    wanted = [("query", "candidates", "scores")]
    found = suggest_columns(["question", "passages", "relevance"], wanted)
    assert "query=question,candidates=passages,scores=relevance" in found


def test_columns_with_another_common_name() -> None:
    assert overlooked(["Intent", "id"], ["label", "negative"]) == {"label": "Intent"}
