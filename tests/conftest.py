from __future__ import annotations

import gc
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Several workers share the cores: torch, in them and in what they start, must not take them all.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chromium import Chromium
    from fake_endpoint import FakeServer

WORDS = """
a the cat dog sits runs on mat grass green blue red sky sea fish bird flies swims house tree in under
over bank loan money card account balance transfer lost stolen pay bill music song plays band loud quiet guitar drum
weather rain snow sun cold warm today tomorrow wind
"""


#: Modules that were imported when the garbage collector last set aside what there was, and how many more it takes.
_frozen, _MANY = 0, 300


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Set aside what large libraries have made when they were imported: it is no garbage.

    Every training run collects garbage, which takes half a second with all of it.
    """
    global _frozen
    if len(sys.modules) > _frozen + _MANY:
        _frozen = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT (2 layers, 32 wide) with mean pooling, as a sentence-transformers folder: do not write."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    root = tmp_path_factory.mktemp("tiny")
    letters = [prefix + letter for prefix in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(word for word in WORDS.split() if len(word) > 1),
    ]
    wordpiece = BertWordPieceTokenizer({word: row for row, word in enumerate(vocabulary)}, lowercase=True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=wordpiece._tokenizer,
        model_max_length=64,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=0.1,
    )
    plain = root / "transformers"
    BertModel(config).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=64)
    pooling = Pooling(transformer.get_embedding_dimension(), "mean")
    folder = root / "sentence-transformers"
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def prompted_folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with prompts of queries and documents in its settings. Do not write."""
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path_factory.mktemp("prompted") / "prompted"))
    file = folder / "config_sentence_transformers.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "prompts": {"query": "the song ", "document": "a bank "}}))
    return folder


@pytest.fixture(scope="session")
def plain_model_folder(tiny_model_folder: Path) -> Path:
    """The same BERT as a plain transformers folder. Do not write."""
    return tiny_model_folder.parent / "transformers"


@pytest.fixture
def model_copy(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model's folder that a test may damage."""
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path):
    """The tiny model, loaded once on the CPU. Do not train or change it; load `tiny_model_folder` for that."""
    from nearfar.models import load

    return load(tiny_model_folder, device="cpu")


@pytest.fixture(scope="session")
def words_tokenizer():
    """A tokenizer of whole words, with yes and no."""
    from word_level import word_tokenizer

    return word_tokenizer()


@pytest.fixture(scope="session")
def yes_no_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model whose vocabulary contains yes and no. Do not write."""
    from word_level import write_causal

    return write_causal(tmp_path_factory.mktemp("yes-no"))


@pytest.fixture(scope="session")
def tiny_lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama (2 layers, 32 wide) that reads bytes, as a transformers folder: do not write."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-lm")
    vocabulary = {byte: row for row, byte in enumerate(["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        eos_token_id=0,
        bos_token_id=None,
        initializer_range=0.3,  # logits far apart, so that rounding decides nothing
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser that pages are looked at with."""
    from chromium import Chromium

    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("no Chromium on this machine")
    chromium = Chromium(binary, tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """The endpoint that generators are tried on."""
    from fake_endpoint import FakeServer

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A folder of six transcripts of calls; see `call_transcripts`."""
    from call_transcripts import write_calls

    return write_calls(tmp_path / "calls")
