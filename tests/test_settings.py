"""Ranges of options."""

from __future__ import annotations

from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated

import pytest

from nearfar import train
from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.models.low_rank.options import LowRankSparse
from nearfar.recipes import get, lost
from nearfar.settings import Fraction, Range, check_ranges, from_options, parse_sizes, with_settings


@pytest.mark.parametrize(
    ("limits", "good", "bad", "words"),
    [
        (Range(least=0), [0, 7.5, None], [-1e-9, float("nan"), float("inf")], "at least 0"),
        (Range(above=0), [1e-9], [0, -1, float("nan"), float("inf")], "above 0"),
        (Range(least=0, most=1), [0, 1], [-0.1, 1.1, float("nan")], "0 to 1"),
        (Range(least=0, below=1), [0, 0.99], [1, -1], "0 to below 1"),
        (Range(above=0, most=1), [1, 0.1], [0, 2], "above 0 and at most 1"),
        (Range(above=-1, below=1), [0, -0.9], [-1, 1], "above -1 and below 1"),
        (Range(most=3), [-5, 3], [4, float("-inf")], "at most 3"),
    ],
)
def test_numbers_out_of_range_are_named(limits: Range, good: list, bad: list, words: str) -> None:
    numbers = make_dataclass("Numbers", [("n", Annotated[float, limits] | None, 1.0)])
    for value in good:
        check_ranges(numbers(value))
    for value in bad:
        with pytest.raises(InputError) as raised:
            check_ranges(numbers(value))
        assert (raised.value.field, raised.value.remedy) == ("n", f"must be {words}")


def test_a_subclass_with_another_default_keeps_the_range_and_may_narrow_it() -> None:
    base = make_dataclass("Base", [("n", Fraction, 0.5), ("m", Fraction, 0.5)])
    own = make_dataclass("Own", [("n", float, 0.7), ("m", Annotated[float, Range(most=0.2)], 0.1)], bases=(base,))
    check_ranges(own())
    for wrong in ({"n": 2.0}, {"m": 0.3}):
        with pytest.raises(InputError) as raised:
            check_ranges(own(**wrong))
        assert raised.value.field in wrong


def test_layers_of_lost_are_checked_before_any_data_is_read() -> None:
    for field, value in (("sparsity", 2.0), ("scored", 0), ("rank", -1)):
        with pytest.raises(InputError) as raised:
            with_settings(lost.Options(), {field: value})
        assert raised.value.field == field
    assert lost.Options(rank=0).rank == 0


@pytest.mark.parametrize(
    ("settings", "field", "remedy"),
    [
        ({"lr": 1e-5}, "settings", "did you mean learning_rate?"),
        ({"num_train_epochs": 1}, "settings", "did you mean epochs?"),
        ({"per_device_train_batch_size": 8}, "settings", "did you mean batch_size?"),
        ({"max_seq_length": 8}, "settings", "did you mean max_length?"),
        ({"temprature": 1}, "settings", "did you mean temperature?"),
        ({"precision": "bf16"}, "precision", "did you mean bfloat16?"),
        ({"precision": "fp16"}, "precision", "did you mean float16?"),
        ({"precision": "bloat16"}, "precision", "did you mean bfloat16?"),
        ({"precision": "zzz"}, "precision", "choose from"),
    ],
)
def test_names_of_other_libraries_get_a_suggestion(settings: dict[str, object], field: str, remedy: str) -> None:
    with pytest.raises(InputError) as raised:
        with_settings(get("infonce").options(), settings)
    assert raised.value.field == field
    assert str(raised.value.remedy).startswith(remedy)
    assert "--set" not in str(raised.value)


@pytest.mark.parametrize("name", ["mnrl", "MultipleNegativesRankingLoss", "NT-Xent", "infonse"])
def test_recipes_by_other_names_get_a_suggestion(name: str) -> None:
    with pytest.raises(InputError) as raised:
        get(name)
    assert raised.value.remedy == "did you mean infonce?"


def test_the_command_line_names_its_option_and_python_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("anchor,positive\na,b\nc,d\n")
    (tmp_path / "y.csv").write_text("anchor,positive\ne,f\ng,h\n")
    for command in ("train", "compare"):
        arguments = [
            command,
            "infonce",
            "--data",
            str(tmp_path / "x.csv"),
            "--set",
            "lr=1",
            "--out",
            str(tmp_path / "o"),
        ]
        arguments += ["--eval", str(tmp_path / "y.csv")] if command == "compare" else []
        assert run(arguments) == 2
        assert "unknown option 'lr'" in (printed := capsys.readouterr().err)
        assert "--set" in printed
    with pytest.raises(InputError, match=r"^settings: .*'lr'.* learning_rate\?"):
        train("infonce", tmp_path / "x.csv", out=tmp_path / "o", lr=1)
    assert not (tmp_path / "o").exists()


def test_part_of_the_options_as_another_dataclass() -> None:
    how = from_options(LowRankSparse, lost.Options(gamma=0.5, scored=3))
    assert how == LowRankSparse(rank=64, gamma=0.5, scored=3)
    assert from_options(LowRankSparse, lost.Options(), rank=7).rank == 7
    with pytest.raises(AttributeError, match="vocabulary"):
        from_options(make_dataclass("Other", [("vocabulary", int)]), LowRankSparse(rank=1))


def test_sizes_as_text() -> None:
    assert parse_sizes("2x32, 4x64,") == [(2, 32), (4, 64)]
    assert parse_sizes("") == []
    for wrong in ("2-32", "2x", "x", "2x3x4", "1.5x8"):
        with pytest.raises(InputError) as raised:
            parse_sizes(wrong)
        assert (raised.value.field, raised.value.remedy) == ("sizes", "write e.g. 2x32,4x64")
