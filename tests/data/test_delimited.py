"""Mistakes in CSV and TSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.data import load
from nearfar.errors import InputError

CASES = {
    "csv, too many fields": ("x.csv", "anchor,positive\na,b\nno, really,b\n", 3, None),
    "csv, too few fields": ("x.csv", 'anchor,positive\n"a\n\n\nb",c\nonly\n', 6, None),
    "csv, unclosed quote": ("x.csv", 'text\na\n"never closed\nb\n', 3, None),
    "csv, unclosed quote in a big file": ("x.csv", 'text\na\n"never closed\n' + "some text\n" * 20_000, 3, None),
    "csv, stray quote": ("x.csv", 'text\na\n"say "hi" now"\n', 3, None),
    "csv, carriage returns": ("x.csv", "text\ra\rb\r", 1, None),
    "csv, blank line": ("x.csv", "anchor,positive\na,b\n\nc,d\n", 3, None),
    "csv, empty field": ("x.csv", 'anchor,positive\n"a\nb",c\n,d\n', 4, "anchor"),
    "csv, empty file": ("x.csv", "", None, None),
    "csv, header only": ("x.csv", "text,label\n", None, None),
    "csv, duplicate column": ("x.csv", "text,label,text\na,b,c\n", 1, "text"),
    "tsv, too many fields": ("x.tsv", "anchor\tpositive\na\tb\tc\n", 2, None),
    "tsv, too few fields": ("x.tsv", "anchor\tpositive\n" + "a\tb\n" * 9000 + "a\n", 9002, None),
    "tsv, blank line": ("x.tsv", "text\na\n\nb\n", 3, None),
    "tsv, empty": ("x.tsv", "", None, None),
    "tsv, white space in a field": ("x.tsv", "anchor\tpositive\na\t \n", 2, "positive"),
    "latin-1": ("x.tsv", b"text\n" + b"plain\n" * 3000 + b"caf\xe9\n", 3002, None),
    "truncated utf-8": ("x.csv", b"text\ncaf\xc3", 2, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_file_line_and_field(mistake: Callable[..., InputError], case: str) -> None:
    name, content, line, field = CASES[case]
    error = mistake(name, content)
    assert (error.line, error.field) == (line, field)


ROWS = [{"anchor": "a, really; yes", "positive": "b"}, {"anchor": 'say "hi"', "positive": "c\nd"}]
QUOTED = ['"a, really; yes"', "b", '"say ""hi"""', '"c\nd"']


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("stated", [False, True])
def test_columns_are_separated_as_excel_does(tmp_path: Path, delimiter: str, mark: str, end: str, stated: bool) -> None:
    lines = [delimiter.join(pair) for pair in (["anchor", "positive"], QUOTED[:2], QUOTED[2:])]
    lines = [f"sep={delimiter}"] * stated + lines
    (tmp_path / "x.csv").write_bytes((mark + end.join(lines) + end).encode())
    assert load(tmp_path / "x.csv").to_list() == ROWS


def test_unquoted_commas_in_a_file_with_semicolons(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("Question;Answer\nIf so, how?;Like this, or that\nWhy?;So\n")
    columns = {"anchor": "Question", "positive": "Answer"}
    assert load(file, columns=columns)[0] == {"anchor": "If so, how?", "positive": "Like this, or that"}
    file.write_text("Question, long;Answer\na;b\nc, d;e\n")
    assert load(file, columns={"anchor": "Question, long", "positive": "Answer"})["anchor"][:] == ["a", "c, d"]


def test_semicolons_in_a_file_with_commas(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("anchor,positive;x\na;b,c\n")
    assert load(tmp_path / "x.csv", columns={"positive": "positive;x"}).to_list() == [
        {"anchor": "a;b", "positive": "c"}
    ]
    (tmp_path / "y.csv").write_text("text\na;b\n")
    assert load(tmp_path / "y.csv")["text"][:] == ["a;b"]


def test_a_field_too_many_names_the_delimiter(mistake: Callable[..., InputError]) -> None:
    error = mistake("x.csv", "anchor;positive\na;b\nno; really;b\n")
    assert (error.line, error.remedy) == (3, "put texts that contain a semicolon in double quotes")


def test_the_last_of_few_rows_shows_the_delimiter_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("anchor\tpositive, x\na\tb, c\nd\te\n")
    assert load(tmp_path / "x.csv", columns={"positive": "positive, x"}).to_dict() == {
        "anchor": ["a", "d"],
        "positive": ["b, c", "e"],
    }


def test_tsv_with_other_line_ends_is_refused_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes(b"anchor\tpositive\ra\tb\r")
    with pytest.raises(InputError, match="carriage return"):
        load(tmp_path / "x.tsv")
