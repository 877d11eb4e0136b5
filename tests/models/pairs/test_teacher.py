"""Training, loading and asking a teacher."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.models.pairs.teacher import Fit, fit_teacher, load_teacher, logits_of

PAIRS = [("the cat", "a cat"), ("the dog runs", "a bird flies in the sky"), ("blue", "the blue sea"), ("a", "song")]
FIT = Fit(epochs=1, learning_rate=1e-3, batch_size=2, max_length=32, seed=5)


def test_a_fitted_teacher_can_be_saved_and_is_the_same_for_the_same_seed(tiny_model, tmp_path) -> None:
    targets = [5.0, 0.0, 3.0, 1.0]
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    teacher = fit_teacher(tiny_model, PAIRS, targets, "regression", 1, FIT)
    logits = logits_of(teacher, PAIRS, "regression", 1)
    assert logits.shape == (4, 1)
    again = logits_of(fit_teacher(tiny_model, PAIRS, targets, "regression", 1, FIT), PAIRS, "regression", 1)
    assert torch.equal(logits, again)
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())

    teacher.save_pretrained(str(tmp_path / "teacher"))
    loaded = load_teacher(tmp_path / "teacher", device="cpu")
    torch.testing.assert_close(logits_of(loaded, PAIRS, "regression", 1), logits)
    # Row by row, whatever order `predict` works in.
    single = torch.cat([logits_of(loaded, [pair], "regression", 1) for pair in PAIRS])
    torch.testing.assert_close(single, logits, atol=1e-5, rtol=0)


def test_fitting_brings_the_teacher_closer_to_the_labels(tiny_model) -> None:
    targets = [0.0, 2.0, 1.0, 2.0]
    start, end = (
        fit_teacher(tiny_model, PAIRS, targets, "classes", 3, Fit(epochs, 1e-2, 2, 32, seed=5)) for epochs in (1, 20)
    )
    wanted = torch.tensor(targets).long()
    losses = [torch.nn.functional.cross_entropy(logits_of(t, PAIRS, "classes", 3), wanted) for t in (start, end)]
    assert losses[1] < 0.5 * losses[0]


def test_an_encoder_is_no_teacher(tiny_model_folder, plain_model_folder, tmp_path) -> None:
    for folder in (tiny_model_folder, plain_model_folder):
        with pytest.raises(InputError, match="expected a reranker"):
            load_teacher(folder)
    with pytest.raises(InputError, match=r"^model: .*nowhere'"):
        load_teacher(tmp_path / "nowhere")


def test_pickled_weights_are_not_read(tiny_model, tmp_path) -> None:
    folder = tmp_path / "pickled"
    fit_teacher(tiny_model, PAIRS, [0.0, 1.0, 2.0, 3.0], "regression", 1, FIT).save_pretrained(str(folder))
    state = load_teacher(folder).model.state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled"):
        load_teacher(folder)
