"""Mistakes in CSV and TSV."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
