"""The label vocabulary of an encoder of actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearfar.errors import InputError
from nearfar.models.action_labels import FOLDER, ActionLabel, ActionLabels
from nearfar.models.loading import find

LABELS = [ActionLabel("user", ("inform",), ("date", "time")), ActionLabel("agent", ("good bye",), ())]


def test_labels_are_the_same_after_saving(tmp_path: Path):
    vectors = np.asarray([[0.6, 0.8], [1, 0]], np.float32)
    ActionLabels(LABELS, vectors).save(tmp_path)
    again = ActionLabels.load(tmp_path)
    assert again is not None
    assert again.labels == LABELS
    np.testing.assert_allclose(again.vectors, vectors, atol=1e-3)


def test_a_folder_without_labels_has_none(tmp_path: Path):
    assert ActionLabels.load(tmp_path) is None


def test_corrupted_files_are_named(tmp_path: Path):
    ActionLabels(LABELS, np.eye(3, 2, dtype=np.float32)).save(tmp_path)
    with pytest.raises(InputError, match="2 labels"):
        ActionLabels.load(tmp_path)
    (tmp_path / FOLDER / "vectors.safetensors").write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        ActionLabels.load(tmp_path)
    assert caught.value.file == tmp_path / FOLDER


def test_the_packaged_encoder_has_labels_of_both_sides():
    labels = ActionLabels.load(find("actions"))
    assert labels is not None
    assert {label.side for label in labels.labels} == {"user", "agent"}
    assert any(label.acts == ("request",) and label.slots == ("date",) for label in labels.labels)
    np.testing.assert_allclose(np.linalg.norm(labels.vectors, axis=1), 1, atol=1e-2)
    size = sum(file.stat().st_size for file in (Path(find("actions")) / FOLDER).iterdir())
    assert size < 600_000
