"""The least and the greatest length of a text."""

from __future__ import annotations

import pytest

from nearfar.errors import InputError
from nearfar.models.lengths import check_length, least_length


class Special:
    """A tokenizer with two special tokens for a text, three for a pair."""

    def num_special_tokens_to_add(self, pair: bool) -> int:
        return 3 if pair else 2


def test_one_token_of_each_text_beside_the_special_ones() -> None:
    assert (least_length(Special()), least_length(Special(), 2)) == (3, 5)
    assert (least_length(None), least_length(object(), 2)) == (1, 2)


@pytest.mark.parametrize(
    ("length", "texts", "limits", "fits"),
    [
        (3, 1, [64], True),
        (2, 1, [64], False),
        (4, 2, [64], False),
        (5, 2, [64], True),
        (64, 1, [64, 128], True),
        (65, 1, [128, 64], False),
        (10**6, 1, [], True),
        (10**6, 1, [None, 0, -1, 1e30, "64"], True),  # what libraries write where there is no limit
        (0, 1, [], False),
    ],
)
def test_lengths_that_fit(length: int, texts: int, limits: list, fits: bool) -> None:
    if fits:
        check_length(length, Special(), limits, texts=texts)
        return
    with pytest.raises(InputError, match=rf"^max_len: .* {length}\b") as caught:
        check_length(length, Special(), limits, texts=texts, field="max_len")
    least = {1: 3, 2: 5}[texts]
    assert caught.value.remedy is not None
    assert str(least) in caught.value.remedy
    assert ("64" in caught.value.remedy) == bool(limits)
