from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.data import SCHEMAS, fitting, load, matching, parse_columns, text_columns
from nearfar.data.schemas import mapping_to
from nearfar.errors import InputError


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["text"], ["sentences", "documents"]),
        (["positive", "anchor"], ["pairs"]),
        (["anchor", "positive", "negative_2", "negative_1", "id"], ["pairs"]),
        (["sentence1", "sentence2", "score", "split"], ["scored pairs"]),
        (["text", "label"], ["labelled", "sentences", "documents"]),
        (["entry", "definition"], ["dictionary"]),
        (["dialogue_id", "turns"], ["dialogues"]),
        (["dialogue_id", "speaker", "text", "acts"], ["turns", "sentences", "documents"]),
        (["image", "text", "label"], ["image + text", "image + label", "labelled", "sentences", "documents", "images"]),
        (["audio", "text"], ["audio + text", "sentences", "documents", "audio"]),
        (["question", "answer", "rationales"], ["rationales", "questions"]),
        (["scores", "query", "candidates"], ["ranked lists"]),
        (["text", "labels"], ["label texts", "sentences", "documents"]),
        (["text", "label", "labels"], ["labelled", "label texts", "sentences", "documents"]),
        (["task", "text"], ["sentences", "documents"]),
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
    assert text_columns(SCHEMAS["ranked lists"], ["query", "candidates", "scores"]) == ["query"]
    assert text_columns(SCHEMAS["label texts"], ["labels", "text", "task"]) == ["text"]


def test_label_texts_need_lists_of_texts_unless_asked_for() -> None:
    names = ["text", "labels"]
    assert fitting(names).name == fitting(names, lists=["labels"]).name == "label texts"
    assert fitting(names, lists=[]).name == "sentences"
    assert fitting(names, lists=[], schema="label texts").name == "label texts"
    assert fitting(["query", "candidates", "scores"], lists=[]).name == "ranked lists"


def test_the_task_of_a_row_is_kept_by_every_schema() -> None:
    for schema in SCHEMAS.values():
        assert schema.pick(["task", "id", *schema.required])[-1] == "task"


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_tasks_are_read(tmp_path: Path, kind: str) -> None:
    content = {"jsonl": '{"task": "one", "text": "a", "x": 1}\n', "csv": "x,task,text\n1,one,a\n"}
    (tmp_path / f"x.{kind}").write_text(content[kind])
    assert load(tmp_path / f"x.{kind}").to_list() == [{"text": "a", "task": "one"}]
    (tmp_path / "y.jsonl").write_text('{"kind": "one", "text": "a"}\n')
    assert load(tmp_path / "y.jsonl", columns={"task": "kind"}).to_list() == [{"text": "a", "task": "one"}]


def test_a_task_is_required_of_every_row(mistake: Callable[..., InputError]) -> None:
    error = mistake("x.jsonl", '{"text": "a", "task": "t"}\n{"text": "b"}\n')
    assert (error.line, error.field) == (2, "task")
    error = mistake("x.jsonl", '{"text": "a", "task": "t"}\n{"text": "b", "task": 1.5}\n')
    assert (error.line, error.field) == (2, "task")
    error = mistake("x.jsonl", '{"text": "a"}\n' * 9000 + '{"text": "b", "task": "t"}\n')
    assert (error.line, error.field) == (9001, "task")


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


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        (["query", "answer"], "--columns anchor=query,positive=answer"),
        (["Anchor", "postive"], "--columns anchor=Anchor,positive=postive"),
        (["q", "zz"], "--columns anchor=...,positive=..."),
        (["anchor;positive"], "';'"),
    ],
)
def test_columns_that_fit_nothing_get_a_mapping(names: list[str], remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        fitting(names, file="x.csv")
    assert caught.value.file == "x.csv"
    assert remedy in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("anchor", ["'anchor'"]),
        ("", ["name=column"]),
        ("anchor=", ["'anchor='"]),
        ("anchor=a,", ["'anchor=a,'"]),
        ("anchor=a,anchor=b", ["'anchor'", "twice"]),
        ("anchor=a,positive=a", ["'a'", "twice"]),
        ("anchr=a", ["'anchr'", "did you mean 'anchor'?"]),
        ("negative_0=a", ["'negative_0'"]),
        ("zzz=a", ["'zzz'", "anchor, positive"]),
    ],
)
def test_a_bad_mapping(text: str, pieces: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_columns(text)
    assert caught.value.field == "columns"
    for piece in pieces:
        assert piece in str(caught.value)


@pytest.mark.parametrize(
    ("options", "field", "piece"),
    [
        ({"columns": {"text": "ancor"}}, "columns", "did you mean 'anchor'"),
        ({"columns": {"texts": "anchor"}}, "columns", "did you mean 'text'"),
        ({"schema": "pair"}, "schema", "did you mean 'pairs'"),
        ({"schema": "labelled"}, None, "'text', 'label'"),
        ({"limit": 0}, "limit", "0"),
    ],
)
def test_bad_options_of_load(tmp_path: Path, options: dict[str, object], field: str | None, piece: str) -> None:
    (tmp_path / "x.jsonl").write_text('{"anchor": "a", "positive": "b"}\n')
    with pytest.raises(InputError) as caught:
        load(tmp_path / "x.jsonl", **options)  # pyright: ignore[reportArgumentType]
    assert caught.value.field == field
    assert piece in str(caught.value)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("Question=anchor", "write anchor=Question"), ("q=negative_2", "write negative_2=q"), ("x=text", "write text=x")],
)
def test_a_reversed_mapping_is_told_so(text: str, remedy: str) -> None:
    with pytest.raises(InputError, match="is reversed") as caught:
        parse_columns(text)
    assert (caught.value.field, caught.value.remedy) == ("columns", remedy)


def test_a_reversed_mapping_of_two_canonical_names_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("question,answer\na,b\n")
    with pytest.raises(InputError, match=r"x\.csv: columns: question=anchor .* anchor=question$"):
        load(tmp_path / "x.csv", columns={"question": "anchor"})


def test_a_mismatch_is_short_and_does_not_list_all_schemas() -> None:
    with pytest.raises(InputError) as caught:
        fitting([f"column {number}" for number in range(200)], file="x.csv")
    assert "and 190 more" in str(caught.value)
    with pytest.raises(InputError) as unknown:
        fitting(["text"], schema="zzz")
    for error in (caught.value, unknown.value):
        assert sum(f"{name}:" in str(error) or f" {name}," in str(error) for name in SCHEMAS) < 3
        assert len(str(error)) < 400


def test_a_mapping_to_schemas_by_common_names() -> None:
    assert mapping_to(["text", "intent"], ["labelled"]) == "label=intent"
    assert mapping_to(["question", "answer"], ["labelled", "pairs"]) == "anchor=question,positive=answer"
    assert mapping_to(["text", "zzz"], ["labelled"]) is None
    assert mapping_to(["text", "label"], ["labelled"]) is None
