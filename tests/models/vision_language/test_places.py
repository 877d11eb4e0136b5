from __future__ import annotations

import torch

from nearfar.models.vision_language.places import IMAGE, images_before, predicted, visible

A, B, C, D, E, F = range(10, 16)
END, STOP, PAD = 1, 2, 0
#: a b IMAGE c IMAGE d
TOKENS = torch.tensor([[A, B, IMAGE, C, IMAGE, D]])


def test_the_time_of_a_token_is_the_number_of_images_up_to_it() -> None:
    assert images_before(TOKENS).tolist() == [[0, 0, 1, 1, 2, 2]]


def test_a_token_sees_the_latest_image_or_all_before_it() -> None:
    times, both = images_before(TOKENS), torch.ones(1, 2, dtype=torch.bool)
    no, one, two, all_ = [False, False], [True, False], [False, True], [True, True]
    assert visible(times, both).tolist() == [[no, no, one, one, two, two]]
    assert visible(times, both, latest_only=False).tolist() == [[no, no, one, one, all_, all_]]


def test_a_missing_image_is_not_seen() -> None:
    times = images_before(TOKENS)
    assert not visible(times, torch.tensor([[True, False]]))[0, 4:].any()


def test_only_what_belongs_to_an_image_is_predicted() -> None:
    tokens = [STOP, A, B, IMAGE, C, D, END, E, IMAGE, F, END, STOP, PAD]
    wanted = [token for token, chosen in zip(tokens, predicted(tokens, END), strict=True) if chosen]
    assert wanted == [C, D, END, F, END]


def test_without_an_end_everything_after_an_image_is_predicted() -> None:
    assert predicted([A, IMAGE, B, IMAGE, C], None) == [False, False, True, False, True]
