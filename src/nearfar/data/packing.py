"""Documents as blocks of tokens, packed without padding; on disk if they do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float, Int
    from transformers import PreTrainedTokenizerBase

#: Documents per call of the tokenizer.
_AT_ONCE = 256


def packed(documents: Dataset, tokenizer: PreTrainedTokenizerBase, length: int) -> Dataset:
    """Tokenize the column `text` and split the concatenated documents into blocks.

    Each document is followed by the end-of-text token, if the tokenizer has one; attention is not limited to a
    document. The incomplete last block is dropped, unless it is the only one.

    Args:
        documents: A column `text`.
        tokenizer: Used without adding special tokens.
        length: Number of tokens in a block, at least 2.

    Returns:
        A column `input_ids` of `length` tokens each. Held in memory, or memory-mapped beyond 256 MiB.

    Raises:
        InputError: The documents contain fewer than two tokens.
    """
    from uuid import uuid4

    import numpy as np
    import pyarrow as pa
    from datasets import Dataset

    from nearfar.data._arrow import Gathered

    gathered = Gathered()

    def add(tokens: Int[np.ndarray, " n"], size: int) -> None:
        offsets = pa.array(np.arange(0, len(tokens) + 1, size), pa.int32())
        blocks = pa.ListArray.from_arrays(offsets, pa.array(tokens))
        gathered.add(pa.RecordBatch.from_arrays([blocks], ["input_ids"]))

    rest = np.empty(0, np.int32)
    for tokens in _tokens(documents, tokenizer):
        rest = np.concatenate([rest, tokens])
        whole = len(rest) // length * length
        if whole:
            add(rest[:whole], length)
            rest = rest[whole:]
    if not gathered.rows:
        if len(rest) < 2:
            raise InputError("the documents contain fewer than two tokens", field="text", remedy="add text")
        add(rest, len(rest))
    return Dataset(gathered.table(), fingerprint=uuid4().hex).with_format("torch")


def unigram(documents: Dataset, tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> Float[np.ndarray, " v"]:
    """The share of each token in documents, counted with one more of each, so that none is impossible.

    Args:
        documents: A column `text`.
        tokenizer: Used as in `packed`.
        vocabulary: v, the number of outputs of the model.
    """
    import numpy as np

    counts = np.ones(vocabulary)
    for tokens in _tokens(documents, tokenizer):
        counts += np.bincount(tokens, minlength=vocabulary)
    return counts / counts.sum()


def _tokens(documents: Dataset, tokenizer: PreTrainedTokenizerBase) -> Iterator[Int[np.ndarray, " n"]]:
    import numpy as np

    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    for start in range(0, len(documents), _AT_ONCE):
        texts = documents[start : start + _AT_ONCE]["text"]
        rows = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        yield np.concatenate([np.asarray([*row, *end], np.int32) for row in rows])
