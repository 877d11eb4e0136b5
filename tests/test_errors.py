"""The one exception: where, what, and the remedy, on one line."""

from __future__ import annotations

import pytest

from nearfar.errors import InputError, about, passed_as


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ({}, "is wrong"),
        ({"file": "a.csv"}, "a.csv: is wrong"),
        ({"file": "a.csv", "line": 7}, "a.csv:7: is wrong"),
        ({"file": "a.csv", "line": 0}, "a.csv:0: is wrong"),
        ({"field": "score"}, "score: is wrong"),
        ({"line": 7}, "is wrong"),
        ({"file": "a.csv", "line": 7, "field": "score", "remedy": "write 0.8"}, "a.csv:7: score: is wrong; write 0.8"),
    ],
)
def test_place_field_and_remedy(where: dict, line: str) -> None:
    error = InputError("is wrong", **where)
    assert str(error) == line
    assert isinstance(error, ValueError)
    for name in ("file", "line", "field", "remedy"):
        assert getattr(error, name) == where.get(name)


def test_whatever_is_quoted_it_is_one_line() -> None:
    assert str(InputError("'a\n\tb' is\r\nwrong", remedy="fix\nit")) == "'a b' is wrong; fix it"


def raised(error: Exception, file: str | None = "a.csv") -> InputError:
    with pytest.raises(type(error)) as caught, about(file, ["text", "score"]):
        raise error
    return caught.value  # type: ignore[return-value]


def test_the_file_is_named_where_its_rows_are_spoken_of() -> None:
    found = raised(InputError("is wrong", line=3, field="score", remedy="fix it"))
    assert (found.file, found.line, found.field, found.remedy) == ("a.csv", 3, "score", "fix it")
    assert raised(InputError("is wrong")).file == "a.csv"


def test_the_file_is_not_named_for_an_option_nor_over_another_file() -> None:
    assert raised(InputError("is wrong", field="temperature")).file is None
    assert raised(InputError("is wrong", file="b.csv", field="score")).file == "b.csv"
    assert raised(InputError("is wrong", field="score"), None).file is None
    assert str(raised(KeyError("x"))) == "'x'"  # type: ignore[arg-type]


@pytest.mark.parametrize(("field", "named"), [(None, "--amateur"), ("model", "--amateur"), ("device", "device")])
def test_the_option_is_named_where_nothing_else_is(field: str | None, named: str) -> None:
    with pytest.raises(InputError) as caught, passed_as("--amateur"):
        raise InputError("is wrong", file="folder", line=2, field=field, remedy="fix it")
    found = caught.value
    assert (found.file, found.line, found.field, found.remedy) == ("folder", 2, named, "fix it")
