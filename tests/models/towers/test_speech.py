"""Whisper's encoder as a tower."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sentence_transformers import SentenceTransformer
from whisper.helpers import SHAPE, as_variables, install, whole_whisper, write_package

import nearfar
from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.frames import requires_nearfar
from nearfar.models.towers import two_towers
from nearfar.models.towers.reading import encode_media, reader_for
from nearfar.models.towers.speech import whisper_tower
from nearfar.models.whisper.folder import convert

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Whisper of transformers. Do not write."""
    place = tmp_path_factory.mktemp("whisper")
    weights = write_package(place / "package", as_variables(whole_whisper()))
    convert(weights, place / "folder", shape=SHAPE)
    return place / "folder"


def clips(*seconds: float) -> list[dict]:
    rng = np.random.default_rng(0)
    return [
        {"array": rng.normal(0, 0.1, int(RATE * each)).astype(np.float32), "sampling_rate": RATE} for each in seconds
    ]


def vectors(modules: list, audio: list[dict]) -> torch.Tensor:
    with torch.no_grad():
        features = modules[0].preprocess(audio)
        for module in modules:
            features = module(features)
    return features["sentence_embedding"]


def test_thirty_seconds_are_the_whole_encoder(folder: Path):
    audio = clips(0.5, 3.01, 1.0)
    found = vectors(whisper_tower(folder, seconds=30), audio)
    from transformers import WhisperFeatureExtractor

    spectra = WhisperFeatureExtractor()([each["array"] for each in audio], sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        states = whole_whisper().model.encoder(spectra.input_features).last_hidden_state
    # A state is of 320 samples; the last one counts if it begins in the audio.
    expected = torch.stack([own[:count].mean(0) for own, count in zip(states, [25, 151, 50], strict=True)])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("seconds", [1, 3])
def test_fewer_seconds_are_the_first_positions(folder: Path, seconds: int):
    module = whisper_tower(folder, seconds=seconds)[0]
    features = module.preprocess(clips(0.4, 5.0))
    assert features["input_features"].shape == (2, 80, 100 * seconds)
    assert features["attention_mask"].sum(1).tolist() == [40, 100 * seconds]
    whole = whole_whisper().model.encoder.embed_positions.weight
    assert torch.equal(module.auto_model.embed_positions.weight, whole[: 50 * seconds])
    assert module.auto_model.embed_positions.weight.shape == (50 * seconds, SHAPE.width)


def test_vectors_do_not_depend_on_the_batch(folder: Path):
    modules, audio = whisper_tower(folder, seconds=2), clips(0.3, 2.5, 1.1)
    alone = torch.cat([vectors(modules, [each]) for each in audio])
    torch.testing.assert_close(vectors(modules, audio), alone)


@pytest.mark.parametrize("seconds", [0, 31])
def test_seconds_out_of_range(folder: Path, seconds: int):
    with pytest.raises(InputError, match=rf"^seconds: .* {seconds}\b"):
        whisper_tower(folder, seconds=seconds)


@pytest.mark.slow
def test_by_name_in_a_model_that_is_saved(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    model = two_towers(tiny_model_folder, audio="whisper-tiny", seconds=2, device="cpu")
    assert requires_nearfar(model)
    assert not requires_nearfar(load(tiny_model_folder, device="cpu"))
    assert not any("decoder" in name for name in model.state_dict())
    assert (reader_for(model, "audio").rate, reader_for(model, "audio").seconds) == (RATE, 2)
    file, saved = tmp_path / "noise.wav", tmp_path / "saved"
    soundfile.write(file, clips(0.7)[0]["array"], RATE)
    expected = encode_media(model, [str(file)], "audio")
    model.save_pretrained(str(saved))
    code = (
        "import sys, numpy, nearfar; from nearfar.models.towers.reading import encode_media\n"
        "numpy.save(sys.argv[3], encode_media(nearfar.load(sys.argv[1], device='cpu'), [sys.argv[2]], 'audio'))"
    )
    subprocess.run([sys.executable, "-c", code, str(saved), str(file), str(tmp_path / "v.npy")], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), expected, atol=1e-5)
    again = two_towers(tiny_model_folder, audio=saved, device="cpu")  # the tower out of a model with two
    np.testing.assert_allclose(encode_media(again, [str(file)], "audio"), expected, atol=1e-5)
    with pytest.raises(ValueError, match="trust_remote_code"):
        SentenceTransformer(str(saved), device="cpu")


def test_the_name_is_of_no_text_encoder_and_no_image_model(tiny_model_folder: Path):
    with pytest.raises(InputError, match="audio_model=whisper-tiny"):
        nearfar.load("whisper-tiny")
    with pytest.raises(InputError, match="'whisper-tiny'"):
        two_towers(tiny_model_folder, image="whisper-tiny", device="cpu")
    with pytest.raises(InputError, match="whisper-tiny"):
        two_towers(tiny_model_folder, audio="whisper-large", device="cpu")


@pytest.mark.parametrize(
    ("recipe", "options"),
    [("cwcl", {}), ("contrastive_gap", {"dims": 8}), ("contrastive_gap", {"dims": 8, "cached": True})],
)
def test_recipes_train_it_as_a_pre_trained_tower(
    recipe: str, options: dict, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    install(tmp_path, monkeypatch)
    lines = ["audio,text"]
    for number, clip in enumerate(clips(*[0.2 + number / 5 for number in range(8)])):
        soundfile.write(tmp_path / f"{number}.wav", clip["array"], RATE)
        lines.append(f"{number}.wav,the {['cat', 'dog', 'fish', 'bird', 'sun', 'rain', 'bank', 'song'][number]}")
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    options = {"audio_model": "whisper-tiny", "seconds": 1, "batch_size": 4, "max_steps": 3, **options}
    trained = nearfar.train(
        recipe, tmp_path / "rows.csv", model=tiny_model_folder, out=tmp_path / "run", learning_rate=0.01, **options
    )
    model = load(trained.folder / "model", device="cpu")
    (encoder, *_) = model[0].sub_modules["audio"]
    new, old = encoder.auto_model.state_dict(), whole_whisper().model.encoder.state_dict()
    moved = {name: (value - old[name][: len(value)]).abs().max().item() for name, value in new.items()}
    assert moved["layers.0.fc1.weight"] > 0
    # AdamW moves a weight by about the learning rate in a step; the random weights would differ by more than 1.
    assert max(moved.values()) < 0.05
    assert "SentenceTransformer" not in (trained.folder / "model" / "README.md").read_text().split("## Training")[0]
