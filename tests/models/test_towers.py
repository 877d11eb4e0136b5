from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.towers import freeze, medium_of, router_of, two_towers
from nearfar.models.towers.reading import reader_for

TEXTS = ["the cat sits on the mat", "a red fish"]


def pictures(count: int = 3) -> list[Image.Image]:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 20, 30, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in pixels]


def recordings(count: int = 3) -> list[dict]:
    rng = np.random.default_rng(0)
    return [{"array": rng.normal(0, 0.1, 5000 + i).astype(np.float32), "sampling_rate": 16_000} for i in range(count)]


def towers_for(medium: str, text: Path, **options) -> tuple[SentenceTransformer, list]:
    name = {"image": "small-cnn", "audio": "small-audio"}[medium]
    model = two_towers(text, **{medium: name}, image_size=32, seconds=1, device="cpu", **options)
    return model, pictures() if medium == "image" else recordings()


@pytest.mark.parametrize("medium", ["image", "audio"])
def test_folder_loads_without_nearfar_code(medium: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    model, items = towers_for(medium, tiny_model_folder)
    seen, read = model.encode(items, task=medium), model.encode(TEXTS, task="text")
    assert seen.shape == (3, 32)
    assert read.shape == (2, 32)
    assert np.linalg.norm(seen, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    model.save_pretrained(str(tmp_path / "model"))
    for again in (SentenceTransformer(str(tmp_path / "model"), device="cpu"), load(tmp_path / "model", device="cpu")):
        assert medium_of(again) == medium
        np.testing.assert_allclose(again.encode(items, task=medium), seen, atol=1e-6)
        np.testing.assert_allclose(again.encode(TEXTS, task="text"), read, atol=1e-6)
        assert again.max_seq_length == 64  # a speech model's own tokenizer has no say


def test_texts_come_out_as_of_the_text_model_alone(tiny_model_folder: Path) -> None:
    model, _ = towers_for("image", tiny_model_folder, frozen="text")
    alone = load(tiny_model_folder, device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(model.encode(TEXTS, task="text"), alone, atol=1e-6)


@pytest.mark.parametrize("frozen", ["text", "image"])
def test_frozen_tower_costs_no_gradient_and_does_not_move(frozen: str, tiny_model_folder: Path) -> None:
    model, items = towers_for("image", tiny_model_folder, frozen=frozen)
    other = "image" if frozen == "text" else "text"
    model.train()
    routes = router_of(model).sub_modules
    assert not routes[frozen].training
    assert routes[other].training
    vectors = {
        "text": model(model.preprocess(TEXTS, task="text"))["sentence_embedding"],
        "image": model(model.preprocess(items, task="image"))["sentence_embedding"],
    }
    assert vectors[frozen].grad_fn is None
    assert vectors[other].grad_fn is not None
    before = {name: value.clone() for name, value in routes[frozen].state_dict().items()}
    with torch.no_grad():  # batch statistics would move here
        model(model.preprocess(items, task="image"))
    assert all(torch.equal(value, before[name]) for name, value in routes[frozen].state_dict().items())


def test_dims_project_what_is_not_frozen(tiny_model_folder: Path) -> None:
    model, items = towers_for("image", tiny_model_folder, dims=8)
    assert model.encode(items, task="image").shape == (3, 8)
    assert model.encode(TEXTS, task="text").shape == (2, 8)
    by_image, items = towers_for("image", tiny_model_folder, frozen="image")
    assert by_image.encode(TEXTS, task="text").shape == (2, 256)


def test_vit_and_clip_by_folder(tiny_model_folder: Path, tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    vit = two_towers(tiny_model_folder, image="small-vit", image_size=16, device="cpu")
    assert vit.encode(pictures(), task="image").shape == (3, 32)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"vocab_size": 20, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = CLIPConfig(
        vision_config={**small, "image_size": 16, "patch_size": 8}, text_config={**small, **ids}, projection_dim=12
    )
    CLIPModel(config).save_pretrained(tmp_path / "clip")
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16).save_pretrained(tmp_path / "clip")
    clip = two_towers(tiny_model_folder, image=tmp_path / "clip", frozen="image", device="cpu")
    assert clip.encode(pictures(), task="image").shape == (3, 12)
    again = two_towers(tiny_model_folder, image=clip, device="cpu")  # a tower out of a model with two
    assert again.encode(pictures(), task="image").shape == (3, 32)


def test_whisper_by_folder(tiny_model_folder: Path, tmp_path: Path) -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    small = {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 8}
    small |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "vocab_size": 20}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = WhisperConfig(d_model=16, num_mel_bins=20, max_source_positions=100, **small, **ids)
    WhisperModel(config).save_pretrained(tmp_path / "whisper")
    WhisperFeatureExtractor(feature_size=20, chunk_length=2).save_pretrained(tmp_path / "whisper")
    model = two_towers(tiny_model_folder, audio=tmp_path / "whisper", device="cpu")
    assert model.encode(recordings(), task="audio").shape == (3, 32)
    assert not any("decoder" in name for name in model.state_dict())
    reader = reader_for(model, "audio")
    assert (reader.rate, reader.seconds) == (16_000, 2)
    with pytest.raises(InputError, match="got one for texts and audio files"):
        reader_for(model, "image")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "image_model"),
        ({"image": "small-cnn", "audio": "small-audio"}, "image_model"),
        ({"image": "small-cnm"}, "image_model"),
        ({"audio": "small-cnn"}, "audio_model"),
        ({"image": "small-cnn", "frozen": "audio"}, "frozen"),
        ({"image": "small-cnn", "frozen": "text", "dims": 8}, "dims"),
        ({"image": "small-cnn", "dims": 0}, "dims"),
        ({"image": "small-cnn", "image_size": 20}, "image_size"),
        ({"audio": "small-audio", "seconds": 31}, "seconds"),
    ],
)
def test_mistakes_are_named(options: dict, field: str, tiny_model_folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        two_towers(tiny_model_folder, device="cpu", **options)
    assert caught.value.field == field


def test_a_text_model_is_no_image_model(tiny_model_folder: Path, tiny_model: SentenceTransformer) -> None:
    with pytest.raises(InputError, match="encodes images, got one for texts"):
        two_towers(tiny_model_folder, image=tiny_model_folder, device="cpu")
    with pytest.raises(InputError, match=r"model: .*two towers"):
        router_of(tiny_model)
    assert medium_of(tiny_model) is None
    with pytest.raises(InputError, match="no 'audio' tower"):
        freeze(two_towers(tiny_model_folder, image="small-cnn", device="cpu"), "audio")


def test_pickled_weights_are_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(InputError, match="pickled"):
        two_towers(tiny_model_folder, image=tmp_path, device="cpu")
