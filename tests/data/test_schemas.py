from __future__ import annotations

import subprocess
import sys

import pytest

from nearfar.data import SCHEMAS, fitting, matching, parse_columns, text_columns


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["text"], ["sentences"]),
        (["positive", "anchor"], ["pairs"]),
        (["anchor", "positive", "negative_2", "negative_1", "id"], ["pairs"]),
        (["sentence1", "sentence2", "score", "split"], ["scored pairs"]),
        (["text", "label"], ["labelled", "sentences"]),
        (["entry", "definition"], ["dictionary"]),
        (["dialogue_id", "turns"], ["dialogues"]),
        (["dialogue_id", "speaker", "text", "acts"], ["turns", "sentences"]),
        (["image", "text", "label"], ["image + text", "image + label", "labelled", "sentences", "images"]),
        (["audio", "text"], ["audio + text", "sentences", "recordings"]),
        (["question", "answer", "rationales"], ["rationales"]),
        (["anchor"], []),
        ([], []),
    ],
)
def test_the_schema_that_uses_most_columns_comes_first(columns: list[str], names: list[str]) -> None:
    assert [schema.name for schema in matching(columns)] == names


def test_every_schema_of_a_table_fits_its_own_columns() -> None:
    for schema in SCHEMAS.values():
        if schema.name != "retrieval":
            assert fitting((*schema.required, *schema.optional), schema=schema.name) is schema


def test_text_columns_come_in_canonical_order() -> None:
    names = ["negative_10", "id", "negative_2", "positive", "negative", "negative_0", "anchor", "negative_1"]
    expected = ["anchor", "positive", "negative", "negative_1", "negative_2", "negative_10"]
    assert text_columns(SCHEMAS["pairs"], names) == expected
    assert text_columns(SCHEMAS["scored pairs"], ["score", "sentence2", "sentence1"]) == ["sentence1", "sentence2"]
    assert text_columns(SCHEMAS["image + text"], ["image", "text", "label"]) == ["text"]
    assert text_columns(SCHEMAS["rationales"], ["rationales", "answer", "question"]) == ["question", "answer"]
    assert text_columns(SCHEMAS["dialogues"], ["dialogue_id", "turns"]) == []


def test_a_mapping_is_parsed() -> None:
    assert parse_columns("anchor=question, positive = my answer,negative_3=a=b") == {
        "anchor": "question",
        "positive": "my answer",
        "negative_3": "a=b",
    }


def test_importing_the_package_and_its_schemas_stays_light() -> None:
    code = (
        "import sys, nearfar.data; from nearfar.data import load, parse_columns, write_jsonl, load_retrieval\n"
        "heavy = {'torch', 'pandas', 'datasets', 'pyarrow', 'numpy', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import nearfar.data

    with pytest.raises(AttributeError, match="no attribute 'lood'"):
        nearfar.data.lood  # noqa: B018
