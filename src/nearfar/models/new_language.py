"""Language models with new weights: in the shape of one there is, or a LLaMA of any size with its own tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

END = "<|endoftext|>"
#: Bytes, and the end of text: what any vocabulary holds.
LEAST_TOKENS = 257


def new_language_model(name: str | Path) -> tuple[Any, Any]:
    """A model of the shape of another, with its tokenizer and new weights, drawn from torch's generator.

    Args:
        name: A folder or hub id with `config.json` and a tokenizer, a `.gguf` file, or a key of `GENERATORS`; weights
            are not read.

    Raises:
        InputError: there is no such model, or it is no causal language model.
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
        return AutoModelForCausalLM.from_config(config), tokenizer
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise InputError(
            f"this is not the shape of a language model ({type(error).__name__}: {reason})",
            file=folder,
            remedy="name a causal language model of transformers with its tokenizer, or none",
        ) from error


def shape_hash(name: str | Path) -> str:
    """A hash of the configuration and the tokenizer that `new_language_model` reads."""
    from nearfar.models.aliases import sha256

    folder, gguf = _place(name)
    files = ["config.json", "tokenizer.json"] if gguf is None else [gguf]
    return "+".join(sha256(folder / file)[:16] for file in files if (folder / file).is_file())


def _place(name: str | Path) -> tuple[Path, str | None]:
    """The folder of a model, and its file of GGUF where there is one."""
    from nearfar.models.aliases import GENERATORS
    from nearfar.models.language import find_language_model
    from nearfar.models.loading import find

    if str(name) in GENERATORS or Path(name).suffix == ".gguf":
        _, folder, gguf = find_language_model(name)
        return folder, gguf
    return find(name), None


def new_tokenizer(documents: Dataset, vocabulary: int) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE (as GPT-2 has it) from the column `text`; any text can be written in it.

    Args:
        documents: Read once, a few at a time.
        vocabulary: Tokens; fewer are learned from little text.

    Raises:
        InputError: too few tokens for the bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocabulary < LEAST_TOKENS:
        problem = f"{vocabulary} tokens are fewer than there are bytes"
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
        vocabulary: Tokens.
        hidden_size: Width d, a multiple of twice the heads.
        layers: Blocks.
        heads: Attention heads.
        positions: The longest text it can read.
        intermediate_size: Width of the MLP; 0: 8/3 of d, rounded up to a multiple of 8.

    Raises:
        InputError: sizes that do not go together.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    if hidden_size % (2 * heads):
        problem = f"{hidden_size} is not a multiple of twice the {heads} heads"
        raise InputError(problem, field="hidden_size", remedy=f"use e.g. {2 * heads * -(-hidden_size // (2 * heads))}")
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size or -(-8 * hidden_size // 24) * 8,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        # One token begins, ends and pads: `new_tokenizer` gives it the number 0.
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


def new_llama_for(
    documents: Dataset, vocabulary: int, shape: LlamaShape
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A LLaMA with random weights, and a tokenizer learned from documents; see `new_llama` and `new_tokenizer`."""
    tokenizer = new_tokenizer(documents, vocabulary)
    return new_llama(len(tokenizer), **asdict(shape)), tokenizer
