"""The perplexity of a language model on held-out text."""

from __future__ import annotations

import math
from typing import Any

from datasets import Dataset

from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked

__all__ = ["measure"]

#: Items in one pass: the logits need memory for each token and each word of the vocabulary.
MOST_AT_ONCE = 8


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """Perplexity, exp of the mean negative log-probability per token.

    Args:
        model: A language model. A causal model reads documents, packed into blocks of `model.block` tokens, and
            predicts every token except the first of each block; or it predicts the answer to each question, as a
            sequence-to-sequence model predicts each target.
        data: Documents (`text`), or sources and targets, or questions and answers (`anchor`, `positive`).
        asked: How to evaluate.

    Returns:
        `log_probability`, the mean per token in nats, also for each item in `per_item`; and `perplexity` (lower is
        better). Items are blocks, or rows.
    """
    import numpy as np

    found = model.log_probability(data, batch_size=min(asked.batch_size, MOST_AT_ONCE), progress=asked.progress)
    mean = float(np.mean(found))
    blocks = model.predicts == ("text",) and "text" in data.column_names
    notes = (f"items are blocks of {model.block} tokens",) if blocks else ()
    return Result(
        task="perplexity",
        primary="log_probability",
        # exp(700) is near the largest floating-point number.
        metrics={"log_probability": mean, "perplexity": math.exp(min(-mean, 700.0))},
        n=len(found),
        per_item={"log_probability": found},
        notes=notes,
        interval=bootstrap_mean(found, seed=asked.seed) if len(found) > 1 else None,
    )
