"""How many tokens of a text a model can read, and how many it must be given to read any."""

from __future__ import annotations

from typing import Any

from nearfar.errors import InputError

__all__ = ["check_length", "least_length"]


def least_length(tokenizer: Any, texts: int = 1) -> int:
    """The length that leaves one token of each text beside the special ones, such as [CLS] and [SEP].

    Args:
        tokenizer: Of transformers or tokenizers; None where a model has none.
        texts: 1, or 2 where a model reads a pair at once.
    """
    count = getattr(tokenizer, "num_special_tokens_to_add", None)
    return texts + (int(count(texts == 2)) if count is not None else 0)


def check_length(length: int, tokenizer: Any, limits: list[Any], *, texts: int = 1, field: str = "max_length") -> None:
    """Check that texts can be truncated to a length.

    Args:
        length: In tokens, special ones included.
        tokenizer: See `least_length`.
        limits: What a model and its tokenizer say is the longest; what is no positive integer counts as none.
        texts: 1, or 2 for a pair.
        field: The option, for the message.

    Raises:
        InputError: nothing of a text would remain, or there are no positions for so many tokens.
    """
    least = least_length(tokenizer, texts)
    limit = min((value for value in limits if isinstance(value, int) and value > 0), default=None)
    if length >= least and (limit is None or length <= limit):
        return
    upper = "" if limit is None else f" and at most {limit}, the model's last position"
    special = least - texts
    why = f": {special} of them are special tokens" if texts <= length < least and special else ""
    raise InputError(f"invalid value {length}{why}", field=field, remedy=f"use at least {least}{upper}")
