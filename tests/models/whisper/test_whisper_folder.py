"""A packaged Whisper becomes a folder of transformers, once."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from nearfar.errors import InputError
from nearfar.models.whisper import folder as module
from nearfar.models.whisper import whisper_folder
from whisper.helpers import install, whole_whisper


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`whisper-tiny` is a small Whisper in a package that can be changed, and the cache is empty."""
    return install(tmp_path, monkeypatch)


def test_transformers_loads_the_folder(installed: Path):
    folder = whisper_folder()
    model, info = WhisperForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    expected = whole_whisper()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in expected.state_dict().items())
    assert model.generation_config.suppress_tokens == [1, 2]
    processor = WhisperProcessor.from_pretrained(folder)
    assert processor.tokenizer.convert_tokens_to_ids("<|notimestamps|>") == 50362
    features = processor(torch.zeros(16_000).numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    with torch.no_grad():
        start = torch.tensor([[50257]])
        one, other = (each(features, decoder_input_ids=start).logits for each in (model.eval(), expected))
    torch.testing.assert_close(one, other)


def test_converted_once(installed: Path, monkeypatch: pytest.MonkeyPatch):
    calls, own = [], module.convert
    monkeypatch.setattr(module, "convert", lambda *args, **options: (calls.append(1), own(*args, **options)))
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: whisper_folder(), range(2))
    shutil.rmtree(installed)
    assert one == other == whisper_folder()
    assert len(calls) == 1
    assert [each.name for each in one.parent.iterdir()] == [one.name]


def test_a_folder_with_broken_weights_is_made_again(installed: Path):
    file = whisper_folder() / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert whisper_folder() == file.parent
    assert file.read_bytes() == content


def test_nothing_is_left_of_a_conversion_that_fails(installed: Path, tmp_path: Path):
    (installed / "model" / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config\.json: suppress_ids: "):
        whisper_folder()
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("tokens", [None, "1", [1, True], [51_864], [-1], [1.0]])
def test_tokens_that_are_not_of_the_vocabulary(tokens: object, installed: Path):
    settings = {"suppress_ids": tokens, "suppress_ids_begin": []}
    (installed / "model" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"config\.json: suppress_ids: "):
        whisper_folder()


@pytest.mark.parametrize("content", ["", "{}", '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {}}}'])
def test_another_tokenizer(content: str, installed: Path):
    (installed / "model" / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=r"tokenizer\.json: "):
        whisper_folder()


def test_other_weights_than_the_published_ones(installed: Path):
    with open(installed / "model" / "model.bin", "ab") as stream:
        stream.write(b"\0")
    with pytest.raises(InputError, match=r"model\.bin: .*sha256"):
        whisper_folder()


def test_the_package_is_missing(installed: Path):
    shutil.rmtree(installed)
    with pytest.raises(InputError, match=r"^audio_model: .*'whisper-tiny' is not installed; pip install it"):
        whisper_folder()


def test_an_unwritable_cache(installed: Path, tmp_path: Path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match="NEARFAR_CACHE"):
        whisper_folder()
