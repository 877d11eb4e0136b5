"""Which recipes take part, and why the others do not."""

from __future__ import annotations

import pytest

from nearfar.comparison.fitting import fits
from nearfar.recipes import get, names


def by_name(*columns: str) -> dict[str, tuple[str | None, bool]]:
    return {fit.recipe: (fit.reason, fit.on_texts) for fit in fits([get(name) for name in names()], columns)}


def test_pairs():
    found = by_name("anchor", "positive")
    assert found["infonce"] == (None, False)
    assert found["simcse"] == (None, True)
    assert found["dse"] == ("needs scores (sentence1, sentence2, score)", False)
    assert found["dialog2flow"][0] == (
        "needs dialogues (dialogue_id, turns or dialogue_id, speaker, text) or labels (text, label)"
    )
    assert found["moe_embed"][0] is not None
    assert found["moe_embed"][0].startswith("needs domains (domain")
    assert found["cwcl"][0] == "needs images (image, text) or audio (audio, text)"
    assert found["lost"][0] == "trains a language model on documents; a comparison trains on rows"


@pytest.mark.parametrize(
    ("columns", "taking", "absent"),
    [
        (("text", "label"), {"infonce", "simcse", "dialog2flow"}, {"dse", "multicsr"}),
        (("text",), {"simcse", "debcse"}, {"infonce", "dialog2flow", "contrastive_search"}),
        (("sentence1", "sentence2", "score"), {"dse", "codiemb", "simcse"}, {"infonce"}),
        (("anchor", "positive", "domain"), {"moe_embed", "infonce"}, {"dse"}),
        (("entry", "definition"), {"defsent_plus", "simcse"}, {"infonce"}),
        (("image", "text"), {"cwcl", "contrastive_gap"}, {"simcse", "infonce"}),
        (("dialogue_id", "turns"), {"dialog2flow"}, {"simcse", "infonce"}),
    ],
)
def test_columns_decide(columns: tuple[str, ...], taking: set[str], absent: set[str]):
    found = by_name(*columns)
    assert all(found[name][0] is None for name in taking)
    assert all(found[name][0] for name in absent)


def test_a_recipe_of_texts_beside_pictures():
    reason, _ = by_name("image", "text")["simcse"]
    assert reason == "trains only on texts; these rows have the column 'image'"
