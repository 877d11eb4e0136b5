"""The input of `nearfar encode`."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nearfar.data.encodable import load_encodable
from nearfar.errors import InputError


def test_the_column_is_chosen_by_what_there_is(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "texts.csv").write_text("text,image,task\none,a.png,t\n")
    (tmp_path / "images.csv").write_text("image,label\na.png,x\n")
    rows, kind = load_encodable(tmp_path / "texts.csv")
    assert (rows.to_list(), kind) == ([{"text": "one"}], "text")
    rows, kind = load_encodable(tmp_path / "texts.csv", "image")
    assert (rows.to_list(), kind) == ([{"image": str(tmp_path / "a.png")}], "image")
    assert load_encodable(tmp_path / "images.csv")[1] == "image"


def test_files_of_a_folder_are_sorted_by_path(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.jpg", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    rows, kind = load_encodable(tmp_path)
    assert kind == "image"
    assert rows["image"][:] == [str(tmp_path / "a" / "z.jpg"), str(tmp_path / "b.png")]


def test_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_encodable(tmp_path, "video")
    assert caught.value.field == "--kind"
