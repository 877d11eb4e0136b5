"""A teacher's logits are computed once."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.models.pairs import teacher_logits as module
from nearfar.models.pairs.teacher import Fit, fit_teacher, logits_of
from nearfar.models.pairs.teacher_logits import teacher_logits

PAIRS = [("the cat", "a cat"), ("the dog runs", "a bird flies in the sky"), ("blue", "the blue sea"), ("a", "song")]
ROWS = Dataset.from_dict({"sentence1": [a for a, _ in PAIRS], "sentence2": [b for _, b in PAIRS]})
FIT = Fit(epochs=1, learning_rate=1e-3, batch_size=2, max_length=32, seed=5)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NEARFAR_CACHE", str(tmp_path / "cache"))


def test_logits_are_computed_once(tiny_model, monkeypatch) -> None:
    fits = []
    original = module.fit_teacher
    monkeypatch.setattr(module, "fit_teacher", lambda *args: fits.append(1) or original(*args))
    targets = [1.0, 0.0, 1.0, 0.0]
    first = teacher_logits(ROWS, targets, "binary", 1, tiny_model, fit=FIT)
    assert torch.equal(teacher_logits(ROWS, targets, "binary", 1, tiny_model, fit=FIT), first)
    assert len(fits) == 1
    turned = teacher_logits(ROWS.select([3, 2, 1, 0]), targets[::-1], "binary", 1, tiny_model, fit=FIT)
    assert len(fits) == 2
    assert not torch.equal(turned, first)
    teacher_logits(ROWS, targets[::-1], "binary", 1, tiny_model, fit=FIT)
    assert len(fits) == 3

    for kept in module.cache_folder().iterdir():
        kept.write_bytes(b"damaged")
    assert torch.equal(teacher_logits(ROWS, targets, "binary", 1, tiny_model, fit=FIT), first)
    assert len(fits) == 4


def test_a_cache_that_cannot_be_written_costs_time_alone(tiny_model, tmp_path, monkeypatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("NEARFAR_CACHE", str(blocked))
    assert teacher_logits(ROWS, [1.0, 0.0, 1.0, 0.0], "binary", 1, tiny_model, fit=FIT).shape == (4, 1)


def test_a_teacher_of_two_classes_gives_a_binary_student_one_logit(tiny_model, tmp_path) -> None:
    two = fit_teacher(tiny_model, PAIRS, [1.0, 0.0, 1.0, 0.0], "classes", 2, FIT)
    two.save_pretrained(str(tmp_path / "two"))
    raw = logits_of(two, PAIRS, "classes", 2)
    found = teacher_logits(ROWS, [], "binary", 1, tiny_model, tmp_path / "two")
    torch.testing.assert_close(found, raw[:, 1:] - raw[:, :1])
    with pytest.raises(InputError, match="got 2"):
        teacher_logits(ROWS, [], "regression", 1, tiny_model, tmp_path / "two")
