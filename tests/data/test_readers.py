from __future__ import annotations

import csv
import gzip
import io
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.data import load, write_jsonl
from nearfar.data.blanks import is_blank
from nearfar.errors import InputError

TRICKY = [
    {"anchor": "NA", "positive": "null", "negative_2": "001", "negative_1": "1e5"},
    {"anchor": ' "q" ', "positive": "True", "negative_2": "nan", "negative_1": "2020-01-01"},
    {"anchor": "a,b;c", "positive": "\u200bé\u2028x", "negative_2": "#", "negative_1": "\\N"},
]
ORDER = ["anchor", "positive", "negative_1", "negative_2"]


def write(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write rows the plain way, one writer a format, none of them nearfar's."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    names = list(rows[0])
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(path.read_bytes()))
        return path
    file = io.StringIO(newline="")
    if kind == "jsonl":
        file.writelines(json.dumps(row) + "\n" for row in rows)
    elif kind == "json":
        json.dump(rows, file, indent=1)
    elif kind == "tsv":
        file.writelines("\t".join(map(str, row)) + "\n" for row in [names, *(row.values() for row in rows)])
    else:
        csv.writer(file).writerows([names, *(row.values() for row in rows)])
    content = file.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_every_format_gives_texts_as_written_in_canonical_order(tmp_path: Path, kind: str, packed: str) -> None:
    rows = [{"id": "1", **row} for row in TRICKY]
    dataset = load(write(rows, tmp_path / f"x.{kind}{packed}"))
    assert dataset.column_names == ORDER
    assert dataset.to_list() == [{name: row[name] for name in ORDER} for row in TRICKY]


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_scores_are_floats_in_every_format(tmp_path: Path, kind: str) -> None:
    rows = [{"score": score, "sentence2": "b", "sentence1": "a"} for score in (1, 0, -3)]
    dataset = load(write(rows, tmp_path / f"x.{kind}"))
    assert dataset.column_names == ["sentence1", "sentence2", "score"]
    assert dataset["score"][:] == [1.0, 0.0, -3.0]
    assert dataset.features["score"].dtype == "float64"


@pytest.mark.parametrize("text", [".5", "1e-3", " 2.5 ", "4"])
def test_numbers_of_a_csv_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(f"sentence1,sentence2,score\na,b,{text}\n")
    assert load(tmp_path / "x.csv")["score"][:] == [float(text)]


def test_labels_stay_what_they_are(tmp_path: Path) -> None:
    numbers = [{"text": "a", "label": 3}, {"text": "b", "label": -1}]
    words = [{"text": "a", "label": "x"}, {"text": "b", "label": "001"}]
    for kind in ("jsonl", "json", "parquet"):
        assert load(write(numbers, tmp_path / f"n.{kind}"))["label"][:] == [3, -1]
        assert load(write(words, tmp_path / f"w.{kind}"))["label"][:] == ["x", "001"]
    for kind in ("csv", "tsv"):
        assert load(write(numbers, tmp_path / f"n.{kind}"))["label"][:] == ["3", "-1"]
        assert load(write(words, tmp_path / f"w.{kind}"))["label"][:] == ["x", "001"]


def test_a_csv_text_may_span_lines_and_contain_quotes(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b'\xef\xbb\xbftext, label\r\n"say ""hi""\r\n\n, all",x\r\nb,"y\n"\r\n\r\n')
    assert load(tmp_path / "x.csv").to_list() == [
        {"text": 'say "hi"\r\n\n, all', "label": "x"},
        {"text": "b", "label": "y\n"},
    ]


def test_a_tsv_file_knows_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes(b'text\tlabel\r\n"open\tx\r\n\'\t"\r\n\n')
    assert load(tmp_path / "x.tsv").to_list() == [{"text": '"open', "label": "x"}, {"text": "'", "label": '"'}]


def test_json_lines_without_a_last_line_feed_and_with_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('\ufeff\n{"text": "a"}\r\n\n{"text": "b"}', encoding="utf-8")
    assert load(tmp_path / "x.jsonl")["text"][:] == ["a", "b"]
    (tmp_path / "x.JSON").write_text('{"text": "a"}\n{"text": "b"}\n')
    assert load(tmp_path / "x.JSON")["text"][:] == ["a", "b"]


def test_a_json_list_longer_than_the_reading_window(tmp_path: Path) -> None:
    rows = [{"text": f"{number} " + "x" * 700_000} for number in range(5)]
    (tmp_path / "x.json").write_text("\n " + json.dumps(rows))
    assert load(tmp_path / "x.json").to_list() == rows


def test_columns_are_mapped_and_others_dropped(tmp_path: Path) -> None:
    path = write([{"positive": "a", "anchor": "b", "extra": "c"}], tmp_path / "x.csv")
    assert load(path, columns={"anchor": "positive", "positive": "anchor"}).to_list() == [
        {"anchor": "a", "positive": "b"}
    ]
    assert load(path, columns={"positive": "extra"}).to_list() == [{"anchor": "b", "positive": "c"}]
    assert load(path, columns={"text": "extra"}, schema="sentences").to_list() == [{"text": "c"}]


def test_an_error_names_the_column_as_the_file_does(tmp_path: Path) -> None:
    path = write([{"q": "a", "a": " "}], tmp_path / "x.csv")
    with pytest.raises(InputError, match=r"x\.csv:2: a: "):
        load(path, columns={"anchor": "q", "positive": "a"})


def test_a_schema_may_be_chosen(tmp_path: Path) -> None:
    path = write([{"text": "a", "label": ""}], tmp_path / "x.csv")
    assert load(path, schema="sentences").to_list() == [{"text": "a"}]


def test_a_limit_ends_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a"}\n' * 9000 + "oops\n")
    assert len(load(path, limit=3)) == 3
    assert len(load(path, limit=9000)) == 9000
    with pytest.raises(InputError, match=":9001: "):
        load(path, limit=9001)


def test_the_first_mistake_of_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"text": ""}\noops\n')
    with pytest.raises(InputError, match=":2: text: "):
        load(tmp_path / "x.jsonl")
    (tmp_path / "x.csv").write_text("text\n \na,b\n")
    with pytest.raises(InputError, match=":2: text: "):
        load(tmp_path / "x.csv")


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_dialogues(tmp_path: Path, kind: str) -> None:
    turns = [{"speaker": "USER", "text": "hi", "acts": ["greet"], "extra": [1]}, {"speaker": "SYSTEM", "text": "yes"}]
    dataset = load(write([{"dialogue_id": "d", "domain": "x", "turns": turns}], tmp_path / f"x.{kind}"))
    assert dataset.to_list() == [
        {
            "dialogue_id": "d",
            "turns": [
                {"speaker": "USER", "text": "hi", "acts": ["greet"], "slots": None},
                {"speaker": "SYSTEM", "text": "yes", "acts": None, "slots": None},
            ],
        }
    ]


def test_one_row_a_turn(tmp_path: Path) -> None:
    rows = [
        {"dialogue_id": 7, "speaker": "U", "text": "a", "acts": ["x", "y"]},
        {"dialogue_id": 7, "speaker": "S", "text": "b", "acts": None},
        {"dialogue_id": 8, "speaker": "U", "text": "c", "acts": "z"},
    ]
    dataset = load(write(rows, tmp_path / "x.jsonl"))
    assert dataset["acts"][:] == [["x", "y"], None, ["z"]]
    assert dataset["dialogue_id"][:] == [7, 7, 8]


def test_one_rationale_or_many(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": "a", "rationales": ["x", "y"]}]
    rows += [{"question": "q", "answer": "a", "rationales": "z"}]
    assert load(write(rows, tmp_path / "x.jsonl"))["rationales"][:] == [["x", "y"], ["z"]]
    assert load(write(rows[1:], tmp_path / "x.csv"))["rationales"][:] == [["z"]]


def test_parquet_types_that_hold_the_same(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["a", "b"]).dictionary_encode(),
            "label": pa.array([1, 2], pa.int8()),
            "vector": [[1.0], [2.0]],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    assert load(tmp_path / "x.parquet").to_list() == [{"text": "a", "label": 1}, {"text": "b", "label": 2}]
    pq.write_table(pa.table({"text": pa.array(["a"], pa.large_string())}), tmp_path / "x.parquet")
    assert load(tmp_path / "x.parquet").features["text"].dtype == "string"


def test_a_folder_is_read_in_order_of_names(tmp_path: Path) -> None:
    write([{"text": "b"}], tmp_path / "part-2.jsonl.gz")
    write([{"text": "a", "id": "1"}], tmp_path / "part-1.csv")
    write([{"text": "c"}], tmp_path / "part-3.parquet")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / ".hidden.jsonl").write_text("oops")
    assert load(tmp_path)["text"][:] == ["a", "b", "c"]
    assert load(str(tmp_path), limit=2)["text"][:] == ["a", "b"]


def test_a_folder_gives_the_split_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001", "my_dev"):
        write([{"text": name}], tmp_path / f"{name}.jsonl")
    assert load(tmp_path)["text"][:] == ["train-00000-of-00002", "train-00001-of-00002"]
    assert load(tmp_path, split="test")["text"][:] == ["test-00000-of-00001"]
    assert load(tmp_path, split="validation")["text"][:] == load(tmp_path, split="dev")["text"][:] == ["my_dev"]


def test_a_column_that_means_more_by_another_name_is_mentioned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "nearfar"):
        load(write([{"anchor": "a", "positive": "b", "hard_negative": "c"}], tmp_path / "x.csv"))
        load(write([{"text": "a", "intent": "b"}], tmp_path / "y.csv"))
        load(write([{"text": "a", "intent": "b"}], tmp_path / "z.csv"), schema="sentences")
    first, second = caplog.messages
    assert "--columns negative=hard_negative" in first
    assert "--columns label=intent" in second


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1).filter(
    lambda text: not is_blank(text)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_any_text_survives_json_lines(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    rows = [dict(zip(("anchor", "positive"), pair, strict=True)) for pair in pairs]
    folder = tmp_path_factory.mktemp("jsonl")
    write_jsonl(rows, folder / "x.jsonl")
    assert load(folder / "x.jsonl").to_list() == rows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[texts.filter(lambda text: "\0" not in text)] * 2), min_size=1, max_size=5))
def test_any_text_survives_csv(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    rows = [dict(zip(("anchor", "positive"), pair, strict=True)) for pair in pairs]
    assert load(write(rows, tmp_path_factory.mktemp("csv") / "x.csv")).to_list() == rows
