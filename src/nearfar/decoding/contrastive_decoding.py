"""Decoding by a contrast of next-token distributions, for transformers' `generate`; see `layer_contrast`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Int
    from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

    from nearfar.decoding.branches import Branches
    from nearfar.models.chat import Prompt

__all__ = ["contrastive_decoding"]


@torch.no_grad()
def contrastive_decoding(
    model: Any,
    input_ids: Int[Tensor, "b t"],
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    branches: Branches | None = None,
    prompts: Sequence[Prompt] | None = None,
    **model_kwargs: Any,
) -> Int[Tensor, "b t+n"]:
    """The token with the highest score at each step, for `custom_generate` of `generate`.

    Deterministic. Batches are padded on the left, and a row stops at its end token. Logits processors are applied to
    the scores.

    Args:
        model, input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs: From `generate`.
        branches: The models, with one contrast.
        prompts: The prompts as texts, which is necessary only if they are chats and a branch has an instruction.

    Returns:
        Token ids, with the prompts.

    Raises:
        InputError: Sampling, several sequences, or an amateur that is equal to the model.

    Example:
        >>> model.generate(
        ...     **inputs,
        ...     custom_generate=contrastive_decoding,
        ...     branches=Branches(model, tokenizer, [LayerContrast(...)], amateur),
        ...     max_new_tokens=64,
        ... )  # doctest: +SKIP
    """
    if branches is None:
        raise ValueError("expected branches")
    config = generation_config
    if config.do_sample or (config.num_beams or 1) > 1 or (config.num_return_sequences or 1) > 1:
        problem = "this decoding takes the token with the highest score: no sampling, beams or several sequences"
        raise InputError(problem, remedy="pass do_sample=False, and remove num_beams and num_return_sequences")
    real = model_kwargs.get("attention_mask")
    real = torch.ones_like(input_ids) if real is None else real
    padding, done = int(config.pad_token_id or 0), torch.zeros(len(input_ids), dtype=torch.bool)  # type: ignore[arg-type]
    done = done.to(input_ids.device)
    scores = branches.start(input_ids, real.bool(), prompts)
    while True:
        processed = logits_processor(input_ids, scores[0].to(input_ids.device))  # type: ignore[arg-type]
        chosen = processed.argmax(-1, keepdim=True).masked_fill(done[:, None], padding)
        input_ids = torch.cat([input_ids, chosen], 1)
        done = done | stopping_criteria(input_ids, ())  # type: ignore[arg-type]
        if done.all():
            return input_ids
        scores = branches.step(chosen)
