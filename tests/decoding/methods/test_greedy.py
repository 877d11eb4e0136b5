"""Greedy decoding, and its penalty of repetition."""

from __future__ import annotations

import pytest

from nearfar.decoding.methods.greedy import METHOD, Options
from nearfar.errors import InputError


def test_a_penalty_is_passed_on_only_where_there_is_one() -> None:
    assert METHOD.arguments(None, Options()) == {}
    assert METHOD.arguments(None, Options(1.2)) == {"repetition_penalty": 1.2}
    assert (METHOD.streams, METHOD.random) == (True, False)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_penalty_out_of_range(value: float) -> None:
    with pytest.raises(InputError, match=f"^repetition_penalty: .* {value}"):
        Options(value)
