"""How surprised a language model is by held-out text."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.evaluation.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datasets import Dataset
    from transformers import PreTrainedModel

#: Tokens of a block, unless the model reads fewer.
BLOCK = 256


def measure_perplexity(
    model: str | Path,
    data: str | Path | Dataset,
    *,
    columns: Mapping[str, str] | None = None,
    split: str = "test",
    batch_size: int = 8,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Perplexity of a language model on documents, packed into blocks of `BLOCK` tokens.

    Args:
        model: A folder or hub id, a `.gguf` file, or an alias, as `nearfar.models.language.load_language_model` takes
            it; the folder `model` or `dense` of a run of `lost` too.
        data: Documents, as `nearfar.data.documents.load_documents` takes them: plain text or tables.
        columns: `{"text": NAME}` for tables that call it otherwise.
        split: Which split of a hub data set, or of a folder of tables that has several.
        batch_size: Blocks in one forward pass.
        seed: Decides the interval's draws.
        progress: Called with (blocks done, blocks in all).

    Returns:
        As `perplexity`, with an interval over blocks.

    Raises:
        InputError: no such model or documents, or these hold fewer than two tokens.
    """
    from nearfar.data.documents import load_documents
    from nearfar.data.packing import packed
    from nearfar.evaluation.intervals import bootstrap_mean
    from nearfar.models.language import load_language_model

    documents = load_documents(data, columns=columns, split=split)
    loaded, tokenizer = load_language_model(model)
    limit = getattr(loaded.config.get_text_config(), "max_position_embeddings", None)
    length = min(BLOCK, limit) if isinstance(limit, int) else BLOCK
    found = perplexity(loaded, packed(documents, tokenizer, length), batch_size=batch_size, progress=progress)
    assert found.per_item is not None
    items = found.per_item["log_probability"]
    interval = bootstrap_mean(items, seed=seed) if len(items) > 1 else None
    return replace(found, interval=interval, notes=(f"items are blocks of {length} tokens",))


def perplexity(
    model: PreTrainedModel,
    blocks: Dataset,
    *,
    batch_size: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Perplexity on blocks of tokens, exp of the mean negative log-probability of each token but a block's first.

    Args:
        model: A causal language model; it is left in evaluation mode.
        blocks: A column `input_ids`, as `nearfar.data.packing.packed` makes it.
        batch_size: Blocks in one forward pass.
        progress: Called with (blocks done, blocks in all).

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
            if progress is not None:
                progress(len(items), len(blocks))
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
