"""Audio files that nobody vouches for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from nearfar.data.audio import MAX_SECONDS, check_audio, read_audio


def wav(path: Path, samples: np.ndarray, rate: int = 8000, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def test_audio_becomes_mono_at_the_rate_asked_for(tmp_path: Path) -> None:
    second = np.stack([np.full(8000, 0.5), np.full(8000, -0.1)], axis=1)
    sound = read_audio(wav(tmp_path / "a.flac", second), 16_000)
    assert sound.shape == (16_000,)
    assert sound.dtype == np.float32
    assert sound[8000] == pytest.approx(0.2, abs=1e-3)
    assert read_audio(tmp_path / "a.flac", 8000, 0.25).shape == (2000,)
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    spectrum = np.abs(np.fft.rfft(read_audio(wav(tmp_path / "b.wav", tone, 44_100), 16_000)))
    assert spectrum.argmax() == 440
    long = wav(tmp_path / "long.wav", np.zeros((MAX_SECONDS + 5) * 1000), 1000)
    assert len(read_audio(long, 1000)) == MAX_SECONDS * 1000


def test_broken_audio_files_say_why(tmp_path: Path) -> None:
    whole = wav(tmp_path / "whole.flac", np.random.default_rng(0).normal(0, 0.1, 8000)).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    check_audio(tmp_path / "cut.flac")  # its header is valid
    (tmp_path / "text.wav").write_text("not audio")
    wav(tmp_path / "empty.wav", np.zeros(0))
    wav(tmp_path / "nan.wav", np.full(10, np.nan), subtype="FLOAT")
    wav(tmp_path / "slow.wav", np.zeros(10), 10)
    expected = {"cut.flac": "not a valid audio", "text.wav": "not a valid audio", "empty.wav": "no audio samples"}
    for name, words in {**expected, "nan.wav": "NaN", "slow.wav": "10 Hz"}.items():
        with pytest.raises(ValueError, match=words):
            read_audio(tmp_path / name, 16_000)
