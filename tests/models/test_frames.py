"""The states of an audio model that are of the audio."""

from __future__ import annotations

import torch

from nearfar.models.frames import RealFrames


def test_a_mask_for_states_from_one_for_frames():
    states = torch.zeros(3, 4, 2)
    frames = torch.tensor([[1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [1] * 8])
    features = RealFrames()({"token_embeddings": states, "attention_mask": frames})
    assert features["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert features["token_embeddings"] is states


def test_a_mask_that_fits_stays():
    mask = torch.ones(1, 4)
    assert RealFrames()({"token_embeddings": torch.zeros(1, 4, 2), "attention_mask": mask})["attention_mask"] is mask
