"""The domain, encoded in the label."""

from __future__ import annotations

from datasets import Dataset

from nearfar.data.domains import with_domain_labels


def test_pairs_have_different_labels_that_tell_their_domain() -> None:
    rows = Dataset.from_dict({"anchor": list("abc"), "positive": list("xyz"), "domain": ["law", "art", "law"]})
    found, domains = with_domain_labels(rows)
    assert domains == ["art", "law"]
    assert found.column_names == ["anchor", "positive", "label"]
    assert [label % 2 for label in found["label"]] == [1, 0, 1]
    assert len(set(found["label"])) == 3


def test_labelled_texts_share_a_label_within_a_domain() -> None:
    labels, domains = ["x", "x", "x", "x", "y", "y"], ["a", "a", "b", "b", "a", "a"]
    rows = Dataset.from_dict({"text": list("abcdef"), "label": labels, "domain": domains})
    found = with_domain_labels(rows)[0]["label"]
    assert found[0] == found[1] != found[2] == found[3]
    assert len({found[0], found[2], found[4]}) == 3
    assert [label % 2 for label in found] == [0, 0, 1, 1, 0, 0]
