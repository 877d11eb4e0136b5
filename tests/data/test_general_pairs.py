"""The general set that comes with the package."""

from __future__ import annotations

import json
from collections import Counter
from importlib import resources

from nearfar.data.general import general_pairs


def test_each_anchor_and_each_positive_is_its_own() -> None:
    rows = general_pairs()
    assert rows.column_names == ["anchor", "positive"]
    texts = [text.lower() for name in rows.column_names for text in rows[name]]
    assert len(set(texts)) == len(texts) == 2 * len(rows)
    assert all(text == text.strip() != "" for text in texts)


def test_every_topic_has_near_misses() -> None:
    text = resources.files("nearfar.data").joinpath("general_set").joinpath("pairs.jsonl").read_text("utf-8")
    topics = Counter(json.loads(line)["topic"] for line in text.splitlines())
    assert set(topics.values()) == {4}


def test_words_alone_do_not_find_the_answer() -> None:
    # Otherwise a model that has forgotten all meaning would lose nothing.
    rows = general_pairs()
    sets = {name: [set(text.lower().split()) for text in rows[name]] for name in rows.column_names}
    found = [max(range(len(rows)), key=lambda row: len(anchor & sets["positive"][row])) for anchor in sets["anchor"]]
    assert sum(place == row for row, place in enumerate(found)) < len(rows) / 4
