from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.data import load, open_text, write_jsonl
from nearfar.errors import InputError


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    rows = [{"text": "naïve\n\u2028"}, {"text": "b", "label": 1}]
    assert write_jsonl(rows, tmp_path / name) == 2
    with open_text(tmp_path / name) as text:
        assert [json.loads(line) for line in text] == rows
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_equal_rows_give_equal_gzip_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_jsonl([{"text": "a"}], tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_jsonl([{"text": "old"}], path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_jsonl([{"text": "new"}, {"text": float("nan")}], path)
    assert path.read_bytes() == before
    assert [other.name for other in tmp_path.iterdir()] == [name]


def test_lines_end_at_line_feeds_alone_and_the_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress("\ufeffa\u2028b\x0bc\rd\r\ne".encode()))
    with open_text(path) as text:
        assert list(text) == ["a\u2028b\x0bc\rd\r\n", "e"]


def test_an_error_of_the_reader_itself_passes_through(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a")
    with pytest.raises(FileNotFoundError, match="other"), open_text(tmp_path / "x.txt"):
        raise FileNotFoundError("other")
    with pytest.raises(InputError, match=r"^\S+: is a folder"), open_text(tmp_path):
        pass


PAIR = '{"anchor": "a", "positive": "b"}\n'
CASES = {
    "utf-16": ("x.csv", "text\na\n".encode("utf-16"), None, None),
    "utf-16 without a byte order mark": ("x.csv", "text\na\n".encode("utf-16-le"), None, None),
    "utf-32": ("x.csv", "text\na\n".encode("utf-32"), None, None),
    "gzip without .gz": ("x.csv", gzip.compress(b"text\na\n"), None, None),
    ".gz without gzip": ("x.csv.gz", "text\na\n", None, None),
    "gzip truncated": ("x.jsonl.gz", gzip.compress(os.urandom(9000).hex().encode())[:-400], None, None),
    "gzip corrupted": ("x.jsonl.gz", gzip.compress(PAIR.encode())[:-6] + b"\0" * 6, None, None),
    "excel workbook": ("x.csv", b"PK\x03\x04" + b"\0" * 30, None, None),
    "parquet by another name": ("x.csv", b"PAR1" + b"\0" * 30, None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_file_line_and_field(mistake: Callable[..., InputError], case: str) -> None:
    name, content, line, field = CASES[case]
    error = mistake(name, content)
    assert (error.line, error.field) == (line, field)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_text("text\na\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the file's mode alone would prove nothing where tests run as root.
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(gzip, "open", refuse)
    with pytest.raises(InputError, match=r"x\.\S+: permission denied"):
        load(tmp_path / name)


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match="permission denied"):
        load(tmp_path)


FOREIGN = {
    "Zstandard": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\0",
    "bzip2": b"BZh91AY&SY",
    "LZ4": b"\x04\x22\x4d\x18",
    "old Excel": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "PDF": b"%PDF-1.7\n",
    "RTF": b"{\\rtf1\\ansi a",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
    "HTML": b"\n<!DOCTYPE html><html>",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.tsv"])
def test_files_of_another_kind_are_named(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / name).write_bytes(FOREIGN[kind] + b"\0" * 20)
    with pytest.raises(InputError, match=kind) as caught:
        load(tmp_path / name)
    assert Path(str(caught.value.file)) == tmp_path / name


def test_a_pointer_in_place_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(FOREIGN["Git LFS"])
    with pytest.raises(InputError, match="Git LFS"):
        load(tmp_path / "x.parquet")


def test_a_text_may_begin_like_a_page(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("<html> is a tag\n")
    assert load(tmp_path / "x.txt")["text"][:] == ["<html> is a tag"]


@pytest.mark.parametrize("before", ["", "x" * 70_000, "\u00e9" * 70_001])
def test_the_byte_that_is_not_utf8_is_found_in_long_lines(tmp_path: Path, before: str) -> None:
    start = before.encode()
    (tmp_path / "x.txt").write_bytes(b"one\n" + start + b"\xff\n")
    with pytest.raises(InputError, match=rf"byte {len(start) + 1} of the line \(0xff\)") as caught:
        load(tmp_path / "x.txt")
    assert caught.value.line == 2


def test_a_character_that_the_end_cuts_is_found(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"one\ntw\xc3")
    with pytest.raises(InputError, match="byte 3") as caught:
        load(tmp_path / "x.txt")
    assert caught.value.line == 2


def test_a_broken_link_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "x.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(InputError, match="link"):
        load(tmp_path / "x.csv")
