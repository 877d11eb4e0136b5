"""Arrow's parser is used only for lines of TSV that it reads as a split at tabs does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.data import load
from nearfar.data._tsv_arrow import parse
from nearfar.errors import InputError


def split(data: bytes, width: int) -> list[list[str]] | None:
    """The cells of each line; None if a line is blank, has another width or is not UTF-8."""
    try:
        lines = data.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        return None
    rows = [line.removesuffix("\r").split("\t") for line in lines]
    return rows if all(len(row) == width and row != [""] for row in rows) else None


def cells_of(data: bytes, width: int) -> list[list[str]] | None:
    batch = parse(data, width)
    return None if batch is None else [list(row.values()) for row in batch.to_pylist()]


def test_ordinary_lines_take_the_fast_path() -> None:
    for data in (b"a\tb\nc\td\n", b"a\tb\r\nc\td\r\n", b"a\tb\nc\td", 'é "x"\t\u2028\n"\t\n'.encode()):
        assert cells_of(data, 2) == split(data, 2) is not None


@pytest.mark.parametrize(
    "data",
    [b"a\n", b"a\tb\tc\n", b"a\tb\n\nc\td\n", b"\na\tb\n", b"a\tb\n\n", b"a\tb\r\n\r\n", b"a\rc\td\n", b"\xe9\tb\n"],
)
def test_other_lines_are_left_to_python(data: bytes) -> None:
    assert parse(data, 2) is None


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([*'ab"\t\t\n\n\r\0', "\r\n", "NULL", "NA", "1.0", "é", "\ufeff", "\\"])), st.integers(1, 3)
)
def test_cells_are_those_of_a_split(pieces: list[str], width: int) -> None:
    data = "".join(pieces).encode()
    found = cells_of(data, width)
    assert found is None or found == split(data, width)


def test_late_mistakes_and_late_blank_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.data.files.HEAD", 2)
    monkeypatch.setattr("nearfar.data.files.CHUNK", 20)
    lines = [f"anchor {number}\tpositive" for number in range(30)]
    path = tmp_path / "x.tsv"

    def mistake(at: int, line: str) -> tuple[int | None, str | None]:
        path.write_text("\n".join(["anchor\tpositive", *lines[:at], line, *lines[at:]]) + "\n")
        with pytest.raises(InputError) as caught:
            load(path)
        return caught.value.line, caught.value.field

    assert mistake(20, "only") == (22, None)
    assert mistake(20, "") == (22, None)
    assert mistake(20, "a\t ") == (22, "positive")
    assert mistake(30, "a\t") == (32, "positive")
    path.write_text("\n".join(["anchor\tpositive", *lines, "", "", ""]))
    assert len(load(path)) == 30
    assert load(path, limit=25)["anchor"][24] == "anchor 24"
