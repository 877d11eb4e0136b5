"""Language models with random weights: with an existing configuration, or a LLaMA of any size with a new tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

END = "<|endoftext|>"
_REMEDY = "pass a causal language model of transformers with its tokenizer, or remove --model"
#: Minimum vocabulary: all bytes, and the end of text.
LEAST_TOKENS = 257


def new_language_model(name: str | Path) -> tuple[Any, Any]:
    """A model with the configuration and the tokenizer of another, and random weights from torch's generator.

    Args:
        name: A folder or Hub ID with `config.json` and a tokenizer, a `.gguf` file, or a key of `GENERATORS`; the
            weights are not read.

    Raises:
        InputError: The model does not exist, or is not a causal language model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder, gguf = _place(name)
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    if gguf is not None:
        options["gguf_file"] = gguf
    try:
        config = AutoConfig.from_pretrained(str(folder), **options)
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
        config.dtype = "float32"
        model = AutoModelForCausalLM.from_config(config)
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise InputError(
            f"is not the configuration of a language model ({type(error).__name__}: {reason})",
            file=folder,
            remedy=_REMEDY,
        ) from error
    if _sees_ahead(model):
        raise InputError(
            "expected a causal language model, got one that reads the next tokens", file=folder, remedy=_REMEDY
        )
    return model, tokenizer


@torch.no_grad()
def _sees_ahead(model: Any) -> bool:
    """Whether the logits of a token depend on the tokens after it, as in an encoder with a head for tokens."""
    tokens = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]]) % model.get_input_embeddings().num_embeddings
    training = model.training
    one, other = model.eval()(input_ids=tokens).logits[:, :-1]
    model.train(training)
    return not torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def shape_hash(name: str | Path) -> str:
    """A hash of the configuration and the tokenizer that `new_language_model` reads."""
    from nearfar.data.files import sha256

    folder, gguf = _place(name)
    files = ["config.json", "tokenizer.json"] if gguf is None else [gguf]
    return "+".join(sha256(folder / file)[:16] for file in files if (folder / file).is_file())


def _place(name: str | Path) -> tuple[Path, str | None]:
    """The folder of a model, and its GGUF file if there is one."""
    from nearfar.models.aliases import GENERATORS
    from nearfar.models.finding import folder_of
    from nearfar.models.language import find_language_model

    if str(name) in GENERATORS or Path(name).suffix == ".gguf":
        _, folder, gguf = find_language_model(name)
        return folder, gguf
    return folder_of(name), None


def new_tokenizer(documents: Dataset, vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer (as in GPT-2) on the column `text`; it can represent any text.

    Args:
        documents: Training documents, read once in small batches.
        vocabulary: Maximum number of tokens; a small text gives fewer.

    Raises:
        InputError: There are fewer tokens than bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocabulary < LEAST_TOKENS:
        problem = f"invalid value {vocabulary}: must be at least {LEAST_TOKENS}, for all bytes"
        raise InputError(problem, field="vocabulary", remedy=f"use at least {LEAST_TOKENS}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )

    def batches() -> Iterator[list[str]]:
        for start in range(0, len(documents), 256):
            yield documents[start : start + 256]["text"]

    tokenizer.train_from_iterator(batches(), trainer, length=len(documents))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, bos_token=END, pad_token=END)


def new_llama(
    vocabulary: int, *, hidden_size: int, layers: int, heads: int, positions: int, intermediate_size: int = 0
) -> LlamaForCausalLM:
    """A LLaMA with tied embeddings and weights drawn from N(0, 0.02^2) by torch's generator.

    Args:
        vocabulary: Number of tokens.
        hidden_size: Hidden size d, a multiple of twice the number of heads.
        layers: Number of layers.
        heads: Number of attention heads.
        positions: Maximum sequence length.
        intermediate_size: Hidden size of the MLP; 0: 8/3 of d, rounded up to a multiple of 8.

    Raises:
        InputError: The sizes do not match.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    if hidden_size % (2 * heads):
        problem = f"invalid value {hidden_size}: must be a multiple of {2 * heads}, twice the number of heads"
        raise InputError(problem, field="hidden_size", remedy=f"use e.g. {2 * heads * -(-hidden_size // (2 * heads))}")
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size or -(-8 * hidden_size // 24) * 8,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        # One token is used for begin, end and padding: `new_tokenizer` gives it the number 0.
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


@dataclass(frozen=True)
class LlamaShape:
    """The shape of a new LLaMA; see `new_llama`."""

    hidden_size: int
    layers: int
    heads: int
    positions: int
    intermediate_size: int = 0


def new_language_model_for(
    documents: Dataset, name: str | Path | None, vocabulary: int, shape: LlamaShape
) -> tuple[Any, Any]:
    """A model with random weights and a tokenizer: those of another model, or a LLaMA and one learned from documents.

    Args:
        documents: See `new_tokenizer`.
        name: See `new_language_model`; None: a LLaMA.
        vocabulary: See `new_tokenizer`.
        shape: See `new_llama`.
    """
    if name is not None:
        return new_language_model(name)
    tokenizer = new_tokenizer(documents, vocabulary)
    return new_llama(len(tokenizer), **asdict(shape)), tokenizer
