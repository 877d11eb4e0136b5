"""Which recipes take part, and why the others do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.comparison.fitting import Fit, base_fit, base_kind, fits
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Plan
from nearfar.recipes import Recipe, get, names


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
    assert found["lol"][0] is not None


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
        (("text", "labels"), {"cless", "simcse"}, {"infonce"}),
    ],
)
def test_columns_decide(columns: tuple[str, ...], taking: set[str], absent: set[str]):
    found = by_name(*columns)
    assert all(found[name][0] is None for name in taking)
    assert all(found[name][0] for name in absent)


def test_a_recipe_for_label_texts_needs_some_to_be_measured_on():
    assert by_name("text")["cless"] == ("needs label texts (labels)", False)
    assert by_name("anchor", "positive")["cless"] == ("needs label texts (text, labels)", False)


@pytest.mark.parametrize(
    ("columns", "on_texts", "schema"),
    [
        (("anchor", "positive"), False, "pairs"),
        (("text",), False, "sentences"),
        (("entry", "definition"), True, "sentences"),
    ],
)
def test_a_recipe_that_needs_an_option_takes_part_where_it_is_set(
    columns: tuple[str, ...], on_texts: bool, schema: str
) -> None:
    recipe = get("score_distillation")
    (bare,) = fits([recipe], columns)
    assert bare.reason == f"needs the option teacher for {schema}: --set teacher=VALUE"
    for given in ("teacher", "score_distillation.teacher"):
        assert fits([recipe], columns, given=[given])[0] == Fit("score_distillation", on_texts=on_texts)
    assert fits([recipe], columns, given=["infonce.teacher", "distance"]) == [bare]
    assert fits([recipe], ("query", "candidates", "scores"))[0].reason is None


def test_one_tower_makes_the_same_vector_of_a_single_text_twice() -> None:
    found = by_name("text")["contrastive_gap"]
    assert found == ("needs the option towers for sentences: --set towers=VALUE", False)
    assert by_name("anchor", "positive")["contrastive_gap"] == (None, False)


def test_a_recipe_of_texts_beside_images():
    reason, _ = by_name("image", "text")["simcse"]
    assert reason == "trains only on texts; these rows have the column 'image'"


def made(roles: dict[str, tuple[str, ...]]) -> Recipe:
    def prepare(*_: object) -> Plan:
        raise AssertionError

    return Recipe("mine", roles, TrainingOptions, prepare)


def test_a_recipe_of_several_datasets_takes_no_part():
    (two,) = fits([made({"background": ("pairs",), "target": ("pairs",)})], ("anchor", "positive"))
    assert two.reason is not None
    assert "background, target" in two.reason
    (stream,) = fits([made({"stream": ("pairs",)})], ("anchor", "positive"))
    assert stream.reason is not None


def test_only_what_is_missing_is_said():
    (found,) = fits([made({"rows": ("domain pairs", "scored pairs")})], ("anchor", "positive"))
    assert found.reason is not None
    assert "domain" in found.reason
    assert "sentence1, sentence2, score" in found.reason
    assert "anchor" not in found.reason


def test_rows_about_files_train_no_recipe_of_texts():
    """A recipe that takes sentences too would train a model that cannot be measured on files."""
    columns = ("image", "text")
    (texts,) = fits([made({"rows": ("sentences",)})], columns)
    assert texts.reason is not None
    assert not texts.on_texts
    (both,) = fits([made({"rows": ("sentences", "image + text")})], columns)
    assert both.reason is None
    assert not both.on_texts
    (sound,) = fits([made({"rows": ("sentences", "audio + text")})], columns)
    assert sound.reason is not None
    # Nor the texts of rows that have files beside several texts.
    (beside,) = fits([made({"rows": ("sentences",)})], ("image", "anchor", "positive"))
    assert beside.reason is not None
    assert not beside.on_texts


def test_texts_one_by_one_are_taken_from_rows_that_have_several():
    sentences = made({"rows": ("sentences",)})
    for columns in (("anchor", "positive"), ("sentence1", "sentence2", "score"), ("entry", "definition")):
        assert fits([sentences], columns)[0].on_texts, columns
    for columns in (("query", "candidates", "scores"), ("question", "answer", "rationales"), ("dialogue_id", "turns")):
        (found,) = fits([sentences], columns)
        assert found.reason is not None, columns
        assert not found.on_texts
    assert fits([sentences], ("text", "label"))[0].reason is None


def test_a_base_model_of_texts_reads_no_files(tiny_model_folder: Path):
    assert base_fit(tiny_model_folder, ["anchor", "positive"]).reason is None
    for medium, words in (("image", "images"), ("audio", "audio files")):
        reason = base_fit(tiny_model_folder, [medium, "text"]).reason
        assert reason is not None
        assert reason.endswith(words)


def test_a_language_model_is_measured_as_what_is_trained_from_it(tiny_lm_folder: Path, tiny_model_folder: Path):
    encoder, reranker = get("infonce"), get("rerank_sft_cl")
    assert base_kind(tiny_lm_folder, [reranker, encoder]) == "encoder"
    assert base_kind(tiny_lm_folder, [reranker]) == "reranker"
    assert base_kind(tiny_model_folder, [reranker]) == "encoder"
