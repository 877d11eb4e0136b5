"""Measures of continuations: how repetitive they are, and how probable after their prompts.

    repetition(texts, n)                        percentage of n-grams that occurred before in their text
    diversity(texts)                            100 times the product of 1 - repetition/100 over n = 2, 3, 4
    coherence(model, tokenizer, prompts, ...)   mean log-probability of a continuation's tokens after its prompt

Use diversity and coherence together: a repetitive text is coherent, and noise is diverse.

Source: Su et al. 2022, A Contrastive Framework for Neural Text Generation (arXiv 2202.06417).
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
    """100 (1 - u / t); u: distinct n-grams of words per text, t: all n-grams, summed over texts.

    Args:
        texts: At least one of them has n words.
        n: Words per n-gram.
        as_published: Count as the authors of contrastive search: without the last n-gram of each text, rounded to two
            digits.

    Raises:
        InputError: No text has n words.
    """
    different, total = 0, 0
    for text in texts:
        words = text.split()
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + (0 if as_published else 1))]
        different += len(set(grams))
        total += len(grams)
    if not total:
        raise InputError(f"no text has {n} words", field="texts", remedy="use longer texts")
    found = 100 * (1 - different / total)
    return round(found, 2) if as_published else found


def diversity(texts: Sequence[str], *, as_published: bool = False) -> float:
    """100 if no 2-, 3- or 4-gram occurs twice in its text, near 0 for very repetitive texts."""
    return 100 * math.prod(1 - repetition(texts, n, as_published=as_published) / 100 for n in (2, 3, 4))


@torch.no_grad()
def coherence(
    model: Any, tokenizer: Any, prompts: Sequence[str], continuations: Sequence[str], *, batch_size: int = 8
) -> Float[np.ndarray, " n"]:
    """Mean log-probability of each continuation after its prompt, in nats per token.

    Prompt and continuation are tokenized separately. Prefer another model than the one that generated the texts.

    Args:
        model: A causal language model.
        tokenizer: The tokenizer of the model; a beginning-of-text token that it adds is part of the prompt.
        prompts: One per continuation.
        continuations: The texts to score.
        batch_size: Texts per forward pass.

    Returns:
        One number per text; NaN if the continuation is empty.
    """
    import numpy as np

    if len(prompts) != len(continuations):
        raise InputError(
            f"expected one prompt per continuation, got {len(prompts)} for {len(continuations)}", field="prompts"
        )
    heads = [tokenizer(text, verbose=False)["input_ids"] for text in prompts]
    tails = [tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in continuations]
    found = np.full(len(prompts), np.nan)
    # The first token of a continuation has no probability if no token precedes it.
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
