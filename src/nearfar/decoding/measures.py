"""What continuations look like: how much they repeat themselves, and how likely they are after their prompts.

    repetition(texts, n)                        part of n-grams that were in their text before, in percent
    diversity(texts)                            100 times the product of 1 - repetition/100 over n = 2, 3, 4
    coherence(model, tokenizer, prompts, ...)   mean log-probability of a continuation's tokens after its prompt

Read diversity and coherence together: a text that repeats itself is coherent, and noise is diverse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


def repetition(texts: Sequence[str], n: int, *, as_published: bool = False) -> float:
    """100 (1 - u / t); u: different n-grams of whitespace words in each text, t: all of them, both summed over texts.

    Args:
        texts: One or more, of which at least one has n words.
        n: Words of an n-gram.
        as_published: Count as the authors of contrastive search do: without the last n-gram of each text, rounded to
            two digits.

    Raises:
        InputError: no text has n words.
    """
    different, total = 0, 0
    for text in texts:
        words = text.split()
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + (0 if as_published else 1))]
        different += len(set(grams))
        total += len(grams)
    if not total:
        raise InputError(f"no text has {n} words", field="texts", remedy="give longer ones")
    found = 100 * (1 - different / total)
    return round(found, 2) if as_published else found


def diversity(texts: Sequence[str], *, as_published: bool = False) -> float:
    """100 where no 2-, 3- or 4-gram occurs twice in its text, near 0 where texts go round in circles."""
    return 100 * math.prod(1 - repetition(texts, n, as_published=as_published) / 100 for n in (2, 3, 4))


@torch.no_grad()
def coherence(
    model: Any, tokenizer: Any, prompts: Sequence[str], continuations: Sequence[str], *, batch_size: int = 8
) -> Float[np.ndarray, " n"]:
    """Mean log-probability, in nats a token, of each continuation after its prompt.

    Prompt and continuation are tokenised apart. Score with another model than the one that wrote where there is one.

    Args:
        model: A causal language model.
        tokenizer: Its own; a beginning-of-text token that it adds to prompts counts as part of them.
        prompts: One for each continuation.
        continuations: The texts to score.
        batch_size: Texts in one pass.

    Returns:
        One number a text; NaN where the continuation is empty.
    """
    import numpy as np

    if len(prompts) != len(continuations):
        raise InputError(f"{len(prompts)} prompts for {len(continuations)} continuations", field="prompts")
    heads = [tokenizer(text, verbose=False)["input_ids"] for text in prompts]
    tails = [tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in continuations]
    found = np.full(len(prompts), np.nan)
    # Without any token before it, a continuation's first token has no probability.
    rows = [row for row in range(len(heads)) if heads[row] and tails[row]]
    rows.sort(key=lambda row: len(heads[row]) + len(tails[row]))
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        tokens = [torch.tensor(heads[row] + tails[row]) for row in batch]
        padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True).to(model.device)
        real = torch.nn.utils.rnn.pad_sequence([torch.ones_like(each) for each in tokens], batch_first=True)
        logits = model(input_ids=padded, attention_mask=real.to(model.device), use_cache=False).logits[:, :-1].float()
        log_p = -F.cross_entropy(logits.transpose(1, 2), padded[:, 1:], reduction="none").double()
        for i, row in enumerate(batch):
            first, last = len(heads[row]), len(heads[row]) + len(tails[row])
            found[row] = log_p[i, first - 1 : last - 1].mean().item()
    return found
