"""A small LLaMA and articles to train it on from scratch, for claims about the pre-training of language models."""

from __future__ import annotations

import tempfile
from functools import cache

import transformers
from _data import located
from datasets import Dataset

from nearfar.data.documents import load_documents
from nearfar.data.packing import packed
from nearfar.models.new_language import new_llama, new_tokenizer

STEPS, BATCH, LENGTH, VOCABULARY = 400, 4, 64, 1024
WIDTH, LAYERS = 96, 2
#: Number of documents for training, and of the following ones for choosing learning rates; blocks that are measured.
TRAINED_ON, CHOSEN_BY, MEASURED = 500, 60, 300


@cache
def documents(file: str) -> Dataset:
    """The articles of a part: `train` or `valid`."""
    return load_documents(located("wiki_lm", f"wiki-lm-{file}.jsonl.gz"))


@cache
def shape() -> str:
    """A folder with the common tokenizer and configuration of all arms."""
    folder = tempfile.mkdtemp()
    tokenizer = new_tokenizer(documents("train").select(range(TRAINED_ON)), VOCABULARY)
    model = new_llama(len(tokenizer), hidden_size=WIDTH, layers=LAYERS, heads=4, positions=LENGTH)
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def blocks(part: str) -> Dataset:
    """Blocks of tokens for training, for choosing learning rates (`choice`), or for the result.

    Those for training are of few articles (`train`), or of all that are not for choosing (`long`).
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(shape())
    if part == "train":
        return packed(documents("train").select(range(TRAINED_ON)), tokenizer, LENGTH)
    if part == "long":
        rest = [*range(TRAINED_ON), *range(TRAINED_ON + CHOSEN_BY, len(documents("train")))]
        return packed(documents("train").select(rest), tokenizer, LENGTH)
    chosen = documents("train").select(range(TRAINED_ON, TRAINED_ON + CHOSEN_BY))
    return packed(chosen if part == "choice" else documents("valid"), tokenizer, LENGTH).select(range(MEASURED))
