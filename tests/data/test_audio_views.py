"""Views of audio: louder or quieter, shifted, with noise."""

from __future__ import annotations

import random

import numpy as np

from nearfar.data.audio_views import AudioViews

AUDIO = {"array": np.sin(np.arange(400, dtype=np.float32) / 5), "sampling_rate": 8000}


def test_weak_views_change_the_volume_alone() -> None:
    found = AudioViews().weak(AUDIO, random.Random(0))["array"]
    factor = found[1] / AUDIO["array"][1]
    assert 0.5 < factor < 2
    np.testing.assert_allclose(found, factor * AUDIO["array"], rtol=1e-5)


def test_strong_views_are_shifted_and_noisy_by_the_generator() -> None:
    quiet = AudioViews(gain=0, noise=0).strong(AUDIO, random.Random(1))["array"]
    np.testing.assert_allclose(np.sort(quiet), np.sort(AUDIO["array"]), rtol=1e-5)
    assert (quiet != AUDIO["array"]).any()
    first, again, other = (AudioViews().strong(AUDIO, random.Random(seed)) for seed in (1, 1, 2))
    assert first["array"].dtype == np.float32
    assert first["sampling_rate"] == 8000
    assert (first["array"] == again["array"]).all()
    assert (first["array"] != other["array"]).any()
