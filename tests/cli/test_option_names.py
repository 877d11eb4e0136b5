"""Errors name the options of the command line as the user typed them."""

from __future__ import annotations

import pytest
from typer.main import get_command

from nearfar.cli.app import app
from nearfar.cli.option_names import of_option
from nearfar.errors import InputError, renamed


@pytest.mark.parametrize(
    ("arguments", "field", "named"),
    [
        ("mine pairs.jsonl --out a.jsonl", "range_max", "--range-max"),
        ("inspect tiny --data pairs.jsonl --map umap", "map", "--map"),
        ("refine questions a.jsonl --out b.jsonl", "held_out", "--held-out"),
        ("refine questions a.jsonl --out b.jsonl", "pairs", "pairs"),
        ("mine pairs.jsonl --out a.jsonl", "pairs", "pairs"),
        ("mine pairs.jsonl --out a.jsonl", "model", "model"),
        ("train infonce --data a.jsonl --set batch-size=1", "batch_size", "batch_size"),
        ("compare infonce --data a.jsonl --set held_out=1", "held_out", "held_out"),
        ("compare infonce --data a.jsonl --set=held_out=1", "held_out", "held_out"),
        ("compare infonce --data a.jsonl --set x=1", "settings", "--set"),
        ("", "held_out", "held_out"),
    ],
)
def test_a_field_that_is_an_option(arguments: str, field: str, named: str) -> None:
    found = of_option(InputError("wrong", field=field, remedy="fix it"), lambda: get_command(app), arguments.split())
    assert str(found) == f"{named}: wrong; fix it"


def test_a_column_of_a_file_is_no_option() -> None:
    error = InputError("wrong", file="a.jsonl", field="held_out")
    assert of_option(error, lambda: get_command(app), ["compare"]) is error


def test_renamed() -> None:
    with pytest.raises(InputError, match=r"^--judge: wrong; fix it$"), renamed(model="--judge"):
        raise InputError("wrong", field="model", remedy="fix it")
    with pytest.raises(InputError, match=r"^a\.jsonl: model: wrong$"), renamed(model="--judge"):
        raise InputError("wrong", file="a.jsonl", field="model")
