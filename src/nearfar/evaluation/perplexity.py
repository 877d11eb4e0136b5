"""How surprised a language model is by held-out text."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from nearfar.evaluation.result import Result

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


def perplexity(model: PreTrainedModel, blocks: Dataset, *, batch_size: int = 8) -> Result:
    """Perplexity on blocks of tokens, exp of the mean negative log-probability of each token but a block's first.

    Args:
        model: A causal language model; it is left in evaluation mode.
        blocks: A column `input_ids`, as `nearfar.data.packing.packed` makes it.
        batch_size: Blocks in one forward pass.

    Returns:
        `log_probability`, the mean of a token in nats and per block in `per_item`; `perplexity`, of which lower is
        better. Items are blocks.
    """
    import numpy as np
    import torch
    from torch.nn import functional as F

    started, model = time.monotonic(), model.eval()
    items: list[float] = []
    with torch.no_grad():
        for batch in blocks.iter(batch_size):
            tokens = torch.as_tensor(batch["input_ids"]).to(model.device)  # type: ignore[call-overload]
            logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].float()
            losses = F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
            items += (-losses.double().mean(1)).tolist()
    mean = float(np.mean(items))
    return Result(
        task="perplexity",
        primary="log_probability",
        # Beyond exp(700) there is no number, and nobody needs one.
        metrics={"log_probability": mean, "perplexity": math.exp(min(-mean, 700.0))},
        n=len(items),
        seconds=time.monotonic() - started,
        per_item={"log_probability": np.asarray(items)},
    )
