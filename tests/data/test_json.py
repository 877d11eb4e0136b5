"""Mistakes in JSON lines and JSON lists."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from nearfar.data import load
from nearfar.errors import InputError

PAIR = '{"anchor": "a", "positive": "b"}\n'
MANY = PAIR * 20_000

CASES = {
    "bad json in the middle": ("x.jsonl", MANY + '{"anchor": "a", "positive": \n' + PAIR, 20001, None),
    "python dict for json": ("x.jsonl", PAIR + "{'anchor': 'a'}\n", 2, None),
    "two objects per line": ("x.jsonl", PAIR + PAIR.strip() + PAIR, 2, None),
    "row is a list": ("x.jsonl", PAIR + '["a", "b"]\n', 2, None),
    "duplicate key": ("x.jsonl", PAIR + '{"text": "a", "text": "b"}\n', 2, None),
    "json list, duplicate key": ("x.json", '[\n{"text": "a", "text": "b"}]', 2, None),
    "row is a number": ("x.jsonl", PAIR + "17\n", 2, None),
    "row is null": ("x.jsonl", PAIR + "null\n", 2, None),
    "nested too deeply": ("x.jsonl", PAIR + "[" * 200_000 + "\n", 2, None),
    "number of many digits": ("x.jsonl", PAIR + "9" * 5000 + "\n", 2, None),
    "empty jsonl": ("x.jsonl", "", None, None),
    "blank jsonl": ("x.jsonl", "\n \n", None, None),
    "latin-1 jsonl": ("x.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', 2, None),
    "latin-1 json": ("x.json", b'[{"text": "a"},\n{"text": "\xe9"}]\n', 2, None),
    "json list, bad item": ("x.json", '[\n{"text": "a"},\n{"text": \n"b",}\n]', 4, None),
    "json list, no comma": ("x.json", '[\n{"text": "a"}\n{"text": "b"}\n]', 3, None),
    "json list not closed": ("x.json", '[\n{"text": "a"},\n{"text": "b"}\n', 4, None),
    "json list ends in a comma": ("x.json", '[{"text": "a"},\n]', 2, None),
    "json list of texts": ("x.json", '[\n"a"]', 2, None),
    "json list, text after": ("x.json", '[{"text": "a"}]\n[]', 2, None),
    "json list, empty": ("x.json", "[]", None, None),
    "json list, empty text": ("x.json", '[\n{"text": "a"},\n\n{"text": ""}]', 4, "text"),
    "json list, truncated": ("x.json", "[", 1, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_file_line_and_field(mistake: Callable[..., InputError], case: str) -> None:
    name, content, line, field = CASES[case]
    error = mistake(name, content)
    assert (error.line, error.field) == (line, field)


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(
    ("line", "character"),
    [
        ('{"anchor": "a", "positive": "b"', 32),
        ('{"anchor": "a", "positive" "b"}', 28),
        ('{"anchor": "a", "positive": "b"} {', 34),
        ("{'anchor'", 2),
        ("oops", 1),
    ],
)
def test_the_character_is_counted_in_its_line(tmp_path: Path, line: str, character: int, packed: str) -> None:
    for end in ("\n", "\r\n", ""):
        path = tmp_path / f"x.jsonl{packed}"
        content = (PAIR * 3 + line + end).encode()
        path.write_bytes(gzip.compress(content) if packed else content)
        with pytest.raises(InputError) as caught:
            load(path)
        assert caught.value.line == 4
        assert caught.value.problem.endswith(f"at character {character}")


def test_a_byte_order_mark_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + ("\n" + PAIR).encode() * 3)
    assert len(load(path)) == 3


def test_rows_before_damaged_bytes_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(PAIR.encode() * 2 + b"\xe9\n")
    assert len(load(path, limit=2)) == 2
