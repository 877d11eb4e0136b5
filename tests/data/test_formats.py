"""File formats by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.data import load
from nearfar.data.formats import format_of
from nearfar.errors import InputError

CASES = {
    "unknown suffix": ("x.xlsx", b"PK", None, None),
    "no suffix": ("data", "text\na\n", None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_file_line_and_field(mistake: Callable[..., InputError], case: str) -> None:
    name, content, line, field = CASES[case]
    error = mistake(name, content)
    assert (error.line, error.field) == (line, field)


@pytest.mark.parametrize("name", ["X.CSV", "x.csv.GZ", "a.b.csv"])
def test_the_suffix_tells_the_format(name: str) -> None:
    assert format_of(Path(name)) == ".csv"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("x.xlsx", "save the sheet as CSV"), ("x.arrow", ".parquet"), ("x.zip", "unpack"), ("x.q", "rename")],
)
def test_what_to_do_with_other_files(mistake: Callable[..., InputError], name: str, remedy: str) -> None:
    assert remedy in str(mistake(name, "x").remedy)


def test_ndjson_is_jsonl(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"text": "a"}\n')
    assert load(tmp_path / "x.ndjson")["text"][:] == ["a"]
