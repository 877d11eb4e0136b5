"""Plain text as documents."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.data import _plain, load
from nearfar.data.documents import load_documents
from nearfar.data.places import places
from nearfar.errors import InputError

TEXT = "A first line,\nand a second.\n\n  \nAnother document\r\n\r\n\nThe last, <b>without</b> an end"
DOCUMENTS = ["A first line,\nand a second.", "Another document", "The last, <b>without</b> an end"]


def test_blank_lines_separate_documents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, newline="")
    with gzip.open(tmp_path / "b.MD.gz", "wt", newline="") as file:
        file.write(TEXT)
    for name in ("a.txt", "b.MD.gz"):
        assert load_documents(tmp_path / name)["text"] == DOCUMENTS
    # A folder of them, in the order of their names.
    assert load_documents(str(tmp_path))["text"] == DOCUMENTS * 2


def test_long_documents_and_long_lines_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plain, "LONGEST", 20)
    monkeypatch.setattr(_plain, "_AT_ONCE", 50)
    lines = [f"line {number:02}" for number in range(12)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    found = load_documents(tmp_path / "lines.txt")["text"]
    assert "\n".join(found).split("\n") == lines
    assert len(found) == 4
    line = "x" * 90
    (tmp_path / "line.txt").write_text(f"{line}\n\nend")
    found = load_documents(tmp_path / "line.txt")["text"]
    assert "".join(found[:-1]).replace("\n", "") == line
    assert found[-1] == "end"
    assert max(map(len, found)) < 45


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty.txt: is empty"),
        (b" \n\n\t\n", "empty.txt: is empty"),
        (b"caf\xe9\n", r"empty.txt:1: byte 4 of the line \(0xe9\) is not UTF-8"),
        (b"\xff\xfeh\0i\0", "empty.txt: is UTF-16, not UTF-8"),
    ],
)
def test_files_that_are_not_plain_text(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_documents(tmp_path / "empty.txt")


@pytest.mark.parametrize("name", ["x.txt", "x.text", "x.txt.gz"])
def test_plain_text_is_a_sentence_per_line_where_rows_are_read(tmp_path: Path, name: str) -> None:
    content = "\ufefffirst, one\r\n\n  second\t \n \nthird".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    wanted = ["first, one", "  second\t ", "third"]
    assert load(tmp_path / name)["text"][:] == wanted
    assert load(tmp_path)["text"][:] == wanted
    assert load(tmp_path / name, limit=1)["text"][:] == wanted[:1]
    assert places(tmp_path / name).at(1) == {"file": str(tmp_path / name), "line": 3}


def test_plain_text_beside_a_table_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text\na\n")
    (tmp_path / "README.txt").write_text("about x.csv\n")
    assert load(tmp_path)["text"][:] == ["a"]


@pytest.mark.parametrize(("content", "line"), [("", None), ("\n \n", None), (b"a\nb\xe9\n", 2)])
def test_bad_plain_text(mistake: Callable[..., InputError], content: str | bytes, line: int | None) -> None:
    assert mistake("x.txt", content).line == line


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_ends_of_any_system_end_a_text(tmp_path: Path, end: str) -> None:
    (tmp_path / "x.txt").write_bytes(f"one{end}{end}two{end}three".encode())
    rows = load(tmp_path / "x.txt")
    assert rows["text"][:] == ["one", "two", "three"]
