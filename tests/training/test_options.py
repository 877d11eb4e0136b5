"""Ranges of options."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nearfar.errors import InputError
from nearfar.recipes import lost
from nearfar.settings import check_range, with_settings


@dataclass
class Numbers:
    n: float | None = 1.0


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "remedy"),
    [
        ({"least": 0}, [0, 7.5, None], [-1e-9, float("nan"), float("inf")], "use at least 0"),
        ({"above": 0}, [1e-9], [0, -1, float("nan"), float("inf")], "use a number above 0"),
        ({"least": 0, "most": 1}, [0, 1], [-0.1, 1.1, float("nan")], "use 0 to 1"),
        ({"least": 0, "below": 1}, [0, 0.99], [1, -1], "use 0 to below 1"),
        ({"above": 0, "most": 1}, [1, 0.1], [0, 2], "use above 0 to 1"),
        ({"most": 3}, [-5, 3], [4, float("-inf")], "use at most 3"),
    ],
)
def test_numbers_out_of_range_are_named(bounds: dict, good: list, bad: list, remedy: str) -> None:
    for value in good:
        check_range(Numbers(value), "n", **bounds)
    for value in bad:
        with pytest.raises(InputError, match="is out of range") as raised:
            check_range(Numbers(value), "n", **bounds)
        assert (raised.value.field, raised.value.remedy) == ("n", remedy)


def test_layers_of_lost_are_checked_before_any_data_is_read() -> None:
    for field, value in (("sparsity", 2.0), ("scored", 0), ("rank", -1)):
        with pytest.raises(InputError) as raised:
            with_settings(lost.Options(), {field: value})
        assert raised.value.field == field
    assert lost.Options(rank=0).rank == 0
    assert lost.Options(gamma=0.5, scored=3).how.gamma == 0.5
