"""Language models by name: what is one, and what can be done with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import transformers

from nearfar.errors import InputError
from nearfar.models import language
from nearfar.models.language import load_language_model, same_weights


def test_an_encoder_is_no_language_model(plain_model_folder: Path) -> None:
    with pytest.raises(InputError, match=r"transformers: .*'cls\.predictions\.bias'"):
        load_language_model(plain_model_folder)


def test_gguf_becomes_plain_weights(tiny_lm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(transformers, "GgufConfig"):
        assert language._unpacked() == {}
        return
    assert language._unpacked()["quantization_config"].dequantize is True
    seen = {}

    def stopped(name: str, **options: object) -> None:
        seen.update(options)
        raise OSError("enough")

    file = language.LanguageFiles("it", tiny_lm_folder, "weights.gguf")
    monkeypatch.setattr(language, "find_language_model", lambda _: file)
    monkeypatch.setattr(language.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: None)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", stopped)
    with pytest.raises(InputError, match="enough"):
        load_language_model("it")
    assert seen["gguf_file"] == "weights.gguf"
    assert seen["quantization_config"].dequantize is True


def test_weights_are_compared_by_their_files(tiny_lm_folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tiny_lm_folder, tmp_path / "copied"))
    assert same_weights(tiny_lm_folder, tiny_lm_folder)
    assert same_weights(tiny_lm_folder, copied)
    model, _ = load_language_model(copied, "cpu")
    model.get_output_embeddings().weight.data.add_(1.0)
    model.save_pretrained(copied)
    assert not same_weights(tiny_lm_folder, copied)
