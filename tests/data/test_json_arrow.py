"""Arrow's parser is used only for lines that Python's parser accepts with the same values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nearfar.data._json import objects
from nearfar.data._json_arrow import infer_types, parse
from nearfar.errors import InputError

ROWS = [
    {"text": "a", "score": 0.5, "label": 1, "flag": True, "none": None, "list": ["x"], "meta": {"k": "v", "n": 1}},
    {"text": "b", "score": 2, "label": -3, "flag": False, "none": None, "list": [], "meta": {"k": "", "n": None}},
]
TYPES = infer_types(ROWS, {})
ACCEPTED = "".join(json.dumps(row) + "\n" for row in ROWS * 3).encode()

# Lines that Arrow reads otherwise than Python, or that it reads and Python refuses.
NASTY = {
    "not closed": '{"text": "a"',
    "two objects": '{"text": "a"}{"text": "b"}',
    "two objects and a space": '{"text": "a"} {"text": "b"}',
    "object over two lines": '{"text":\n"a"}',
    "two in one line, one in two": '{"text": "a"}{"list": [\n"x"]}',
    "nested braces across lines": '{"text": "a"}{"meta": {"k": "v"}\n{"text": "b"}}',
    "line break in a string": '{"text": "a}\n{b"}',
    "carriage return between rows": '{"text": "a"}\r{"text": "b"}',
    "comma between rows": '{"text": "a"},',
    "trailing comma": '{"text": "a",}',
    "trailing text": '{"text": "a"} x}',
    "list": '[{"text": "a"}]',
    "duplicate key": '{"text": "a", "text": "b"}',
    "duplicate key, escaped": '{"text": "a", "t\\u0065xt": "b"}',
    "duplicate key, nested": '{"meta": {"k": "a", "k": "b"}}',
    "NaN": '{"score": NaN}',
    "Inf": '{"score": Inf}',
    "infinity": '{"score": -Infinity}',
    "nan": '{"score": nan}',
    "huge number": '{"score": 1e999}',
    "many digits": f'{{"score": {"9" * 5000}}}',
    "many digits, label": f'{{"label": {"9" * 5000}}}',
    "beyond 53 bits": '{"score": 9007199254740993}',
    "beyond 64 bits": '{"label": 9223372036854775808}',
    "minus zero": '{"score": -0}',
    "minus zero point zero": '{"score": -0.0}',
    "leading zero": '{"score": 01}',
    "leading plus": '{"score": +1}',
    "leading point": '{"score": .5}',
    "trailing point": '{"score": 1.}',
    "hexadecimal": '{"score": 0x10}',
    "underscore": '{"score": 1_0}',
    "number for a text": '{"text": 3}',
    "text for a number": '{"score": "3"}',
    "boolean for a number": '{"score": true}',
    "float for a label": '{"label": 1.0}',
    "exponent for a label": '{"label": 1e2}',
    "NUL": '{"text": "a\0"}',
    "NUL, escaped": '{"text": "a\\u0000b"}',
    "NUL between rows": '{"text": "a"}\0',
    "control character": '{"text": "a\tb"}',
    "DEL": '{"text": "a\x7f"}',
    "unpaired high surrogate": '{"text": "\\ud83d"}',
    "unpaired low surrogate": '{"text": "\\ude00"}',
    "reversed surrogates": '{"text": "\\ude00\\ud83d"}',
    "surrogate pair": '{"text": "\\ud83d\\ude00"}',
    "surrogate in a key": '{"\\ud83d": 1}',
    "unknown escape": '{"text": "\\x41"}',
    "short escape": '{"text": "\\u41"}',
    "solidus": '{"text": "\\/"}',
    "byte order mark": '\ufeff{"text": "a"}',
    "single quotes": "{'text': 'a'}",
    "comment": '{"text": "a" /* b */}',
    "unknown field": '{"other": 1}',
    "unknown nested field": '{"meta": {"other": 1}}',
    "deep": f'{{"meta": {"[" * 100_000}',
    "deep and closed": f'{{"list": {"[" * 5000}{"]" * 5000}}}',
    "null for a list": '{"list": null}',
    "null in a list": '{"list": ["a", null]}',
    "object for a list": '{"list": {}}',
    "empty object": "{}",
    "not an object": "17",
    "true": "True",
    "blank": "",
    "white space": " \t",
    "no-break space": "\u00a0",
    "indented": ' {"text": "a"}',
    "carriage return at the end": '{"text": "a"}\r',
}


def by_value(data: bytes, path: Path) -> list[dict[str, Any]] | None:
    """What Python's parser makes of the lines; None if it refuses them."""
    path.write_bytes(data)
    try:
        return [row for _, row in objects(path)]
    except InputError:
        return None


def assert_agreement(data: bytes, path: Path) -> bool:
    """Whether Arrow's parser is used for the lines; if so, the rows must be those of Python's parser."""
    batch = parse(data, TYPES)
    if batch is None:
        return False
    rows = by_value(data, path)
    assert rows is not None, data
    assert len(rows) == batch.num_rows
    for row, found in zip(rows, batch.to_pylist(), strict=True):
        meta = {"k": None, "n": None}
        expected = {name: row.get(name) for name in TYPES}
        if expected["meta"] is not None:
            expected["meta"] = {**meta, **expected["meta"]}
        if expected["score"] is not None:
            expected["score"] = float(expected["score"])
        assert repr(found) == repr(expected), data  # repr tells 1 from 1.0 from True, and 0.0 from -0.0
    return True


def test_ordinary_lines_take_the_fast_path(tmp_path: Path) -> None:
    assert assert_agreement(ACCEPTED, tmp_path / "x.jsonl")
    assert assert_agreement(ACCEPTED.replace(b"\n", b"\r\n"), tmp_path / "x.jsonl")
    assert assert_agreement(ACCEPTED.removesuffix(b"\n"), tmp_path / "x.jsonl")
    assert assert_agreement('{"text": "é\u2028 🙂 \\n\\"}{"}\n'.encode(), tmp_path / "x.jsonl")


@pytest.mark.parametrize("where", ["alone", "first", "in the middle", "last"])
@pytest.mark.parametrize("case", NASTY)
def test_nasty_lines_are_read_as_python_reads_them(tmp_path: Path, case: str, where: str) -> None:
    line = NASTY[case].encode() + b"\n"
    before = ACCEPTED if where in ("in the middle", "last") else b""
    after = ACCEPTED if where in ("in the middle", "first") else b""
    assert_agreement(before + line + after, tmp_path / "x.jsonl")


def test_bytes_that_are_not_utf8_are_left_to_python() -> None:
    assert parse(b'{"text": "\xe9"}\n', TYPES) is None
    assert parse(b'{"text": "\xed\xa0\xbd"}\n', TYPES) is None


WORDS = ('"text"', '"score"', '"label"', '"list"', '"meta"', '"k"', '"a"', "1", "-0", "NaN", "true", "null", "é")
FRAGMENTS = ('{"text": "a"}', "\\ud800", "\\u0000", '"}\n{"', "}\n{", "\ufeff")
pieces = st.sampled_from([*'{}[]",: \\\n\r\t\0-+.0e', *WORDS, *FRAGMENTS])


@settings(max_examples=400, deadline=None)
@given(st.lists(pieces, max_size=12), st.integers(0, len(ACCEPTED)), st.integers(0, 4))
@example(["}", "{"], 3, 0)
def test_damaged_lines_are_read_as_python_reads_them(
    tmp_path_factory: pytest.TempPathFactory, inserted: list[str], at: int, removed: int
) -> None:
    data = ACCEPTED[:at] + "".join(inserted).encode() + ACCEPTED[at + removed :]
    assert_agreement(data, tmp_path_factory.mktemp("damaged") / "x.jsonl")


def test_types_of_fields() -> None:
    expected = {"text": pa.string(), "score": pa.float64(), "label": pa.int64(), "flag": pa.bool_(), "none": pa.null()}
    assert {name: TYPES[name] for name in expected} == expected
    assert infer_types([{"a": 1}, {"a": "x"}], {}) == {}  # no single type
    assert infer_types([{"a": {str(number): 1 for number in range(100)}}], {}) == {}  # too many fields
    assert infer_types([{"a": [[[[[1]]]]]}], {}) == {}  # too deep
    assert infer_types([{"a": 0.5, "b": "x"}], {"a": pa.int64(), "c": pa.null()}) == {
        "a": pa.float64(),
        "b": pa.string(),
        "c": pa.null(),
    }
