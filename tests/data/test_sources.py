"""Files, folders and names that are not found, or are not what they should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfar.data import load
from nearfar.data.sources import looks_like_file, open_sources, split_files
from nearfar.errors import InputError

PAIR = '{"anchor": "a", "positive": "b"}\n'
# The files of a folder; the file with the mistake ("" for the folder itself), its line, its field.
FOLDERS: dict[str, tuple[dict[str, str], str, int | None, str | None]] = {
    "nothing": ({}, "", None, None),
    "nothing readable": ({"README.md": "hi"}, "", None, None),
    "one level too high": ({"README.md": "hi", "inner/x.jsonl": PAIR}, "", None, None),
    "BEIR format": ({"corpus.jsonl": "{}", "queries.jsonl": "{}"}, "", None, None),
    "no such split": ({"dev.jsonl": PAIR, "test.jsonl": PAIR}, "", None, "split"),
    "some without a split": ({"extra.jsonl": PAIR, "train.jsonl": PAIR}, "extra.jsonl", None, None),
    "columns differ": ({"a.jsonl": PAIR, "b.jsonl": '{"text": "a"}\n'}, "b.jsonl", None, None),
    "second has a mistake": ({"a.jsonl": PAIR, "b.csv": "anchor,positive\na,\n"}, "b.csv", 2, "positive"),
    "second is empty": ({"a.jsonl": PAIR, "b.csv": ""}, "b.csv", None, None),
    "label types differ": (
        {"a.jsonl": '{"text": "a", "label": 1}\n', "b.csv": "text,label\na,1\n"},
        "b.csv",
        2,
        "label",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_bad_folder(tmp_path: Path, case: str) -> None:
    files, name, line, field = FOLDERS[case]
    for each, content in files.items():
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).write_text(content)
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    error = caught.value
    assert (Path(str(error.file)), error.line, error.field) == (tmp_path / name, line, field)
    assert error.remedy
    if case == "one level too high":
        assert str(tmp_path / "inner") in error.remedy


def test_a_missing_path_suggests_the_most_similar_name(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(PAIR)
    with pytest.raises(InputError, match=r"trian\.jsonl: .*train\.jsonl\?"):
        load(tmp_path / "trian.jsonl")
    with pytest.raises(InputError) as caught:
        load(str(tmp_path / "zebra.csv"))
    assert str(tmp_path) in str(caught.value.remedy)
    with pytest.raises(InputError) as caught:
        load(str(tmp_path / "nowhere" / "train.csv"))
    assert "nowhere" in str(caught.value.remedy)


@pytest.mark.parametrize("name", ["train.jsonl", "user/train.csv", "./user/name", "a/b/c", "name", "~/x/y"])
def test_what_looks_like_a_path_is_not_searched_on_the_hub(name: str) -> None:
    assert looks_like_file(name)
    with pytest.raises(InputError, match="no such file"):
        load(name)


def test_a_hub_id_does_not_look_like_a_path() -> None:
    assert not looks_like_file("user/name")


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load(name)
    assert caught.value.field == "data"


def test_a_url_is_not_downloaded() -> None:
    with pytest.raises(InputError, match=r"^https://x\.org/a\.csv: "):
        load("https://x.org/a.csv")


def test_a_pipe_and_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    for path in (tmp_path / "x.jsonl", Path("/dev/null")):
        with pytest.raises(InputError, match="not a file"):
            load(path)


def test_files_of_a_split(tmp_path: Path) -> None:
    for name in ("my_dev.csv", "train-2.csv", "train-1.csv", "test.csv"):
        (tmp_path / name).write_text("text\na\n")
    assert [path.name for path in split_files(tmp_path, "train")] == ["train-1.csv", "train-2.csv"]
    assert [path.name for path in split_files(tmp_path, "validation")] == ["my_dev.csv"]
    opened, features = open_sources(tmp_path, "train")
    assert [Path(source.file).name for source in opened] == ["train-1.csv", "train-2.csv"]
    assert features == {}
