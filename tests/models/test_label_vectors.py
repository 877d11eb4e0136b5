"""Labels and their vectors: added, compared by cosine, saved and loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nearfar.errors import InputError
from nearfar.models.label_vectors import FOLDER, LabelVectors


def two() -> LabelVectors:
    head = LabelVectors(2)
    head.add(["east", "north"], torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    return head


def test_scores_are_cosines_and_labels_are_added_at_the_end() -> None:
    head = two()
    assert head(torch.tensor([[3.0, 4.0]])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    before = head.vectors.detach().clone()
    head.add(["west"], torch.tensor([[-5.0, 0.0]]))
    assert head.names == ["east", "north", "west"]
    assert torch.equal(head.vectors[:2], before)
    assert head.vectors.requires_grad
    assert head(torch.tensor([[-1.0, 0.0]])).argmax().item() == 2


@pytest.mark.parametrize("names", [["east"], ["west", "west"], ["west", "south"]])
def test_labels_exist_once_and_have_a_vector_each(names: list[str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        two().add(names, torch.zeros(1, 2))


def test_saved_labels_are_loaded(tmp_path: Path) -> None:
    two().save(tmp_path)
    found = LabelVectors.load(tmp_path)
    assert found.names == ["east", "north"]
    assert torch.equal(found.vectors, two().vectors)
    assert found.temperature is None
    LabelVectors(2, temperature=0.05).save(tmp_path)
    assert LabelVectors.load(tmp_path).temperature == 0.05


def test_missing_and_corrupted_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labels"):
        LabelVectors.load(tmp_path)
    two().save(tmp_path)
    config = tmp_path / FOLDER / "config.json"
    config.write_text(json.dumps({"labels": ["east"]}))
    with pytest.raises(InputError) as caught:
        LabelVectors.load(tmp_path)
    assert caught.value.file == tmp_path / FOLDER
    config.write_text("{")
    with pytest.raises(InputError):
        LabelVectors.load(tmp_path)
