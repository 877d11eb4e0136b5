"""Options of an inspection."""

from __future__ import annotations

import inspect as signatures
from dataclasses import asdict

import pytest

from nearfar.cli.inspect import command
from nearfar.errors import InputError
from nearfar.inspection import inspect
from nearfar.inspection.options import InspectOptions


def test_the_function_and_the_command_have_the_same_defaults() -> None:
    for name, value in asdict(InspectOptions()).items():
        assert signatures.signature(inspect).parameters[name].default == value, name
        assert signatures.signature(command).parameters["map_" if name == "map" else name].default == value, name


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("rows", 2, 3),
        ("near_duplicate", 0.0, 1.0),
        ("near_duplicate", 1.01, 0.01),
        ("batch_size", 0, 1),
        ("seed", -1, 0),
        ("map", "umap", "tsne"),
    ],
)
def test_bounds(field: str, wrong: object, right: object) -> None:
    assert getattr(InspectOptions(**{field: right}), field) == right
    with pytest.raises(InputError) as error:
        InspectOptions(**{field: wrong})
    assert error.value.field == field
