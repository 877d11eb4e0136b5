"""Documents, cut into pieces that a language model reads at once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.inspection.language.options import LanguageInspectOptions
    from nearfar.models.abilities import ExposesStates

#: Minimum number of tokens of a piece.
LEAST = 8
#: Characters per token that are given to the tokenizer, so that a long document is not tokenized again and again.
_LONGEST = 64


@dataclass(frozen=True)
class Piece:
    """A piece of a document.

    Args:
        document: The row of the document.
        text: Its text, to the end of the last token.
        tokens: The tokens that the inspected model reads.
        ends: The character of the text after which each token ends.
    """

    document: int
    text: str
    tokens: list[int]
    ends: list[int]


def draw_pieces(documents: Dataset, model: ExposesStates, options: LanguageInspectOptions) -> list[Piece]:
    """Pieces of random documents: the beginnings first, so that many documents take part.

    Raises:
        InputError: No document has `LEAST` tokens.
    """
    import numpy as np

    order = np.random.default_rng(options.seed).permutation(len(documents))[: options.rows]
    queue = deque((int(row), 0) for row in order)
    found: list[Piece] = []
    count = 0
    while queue and count < options.tokens:
        row, start = queue.popleft()
        rest = documents[row]["text"][start:]
        text = rest[: _LONGEST * options.block]
        tokens, ends = model.tokens(text, options.block)
        if len(tokens) >= LEAST:
            found.append(Piece(row, text[: ends[-1]], tokens, ends))
            count += len(tokens)
        if tokens and 0 < ends[-1] < len(rest):
            queue.append((row, start + ends[-1]))
    if not found:
        raise InputError(f"no document has {LEAST} tokens", field="text", remedy="use longer texts")
    return found
