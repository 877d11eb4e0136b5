"""Contrastive search: among the most probable tokens, prefer one whose state differs from all earlier states.

Source: Su et al. 2022, A Contrastive Framework for Neural Text Generation (arXiv 2202.06417); Su & Collier 2023,
Contrastive Search Is What You Need For Neural Text Generation (arXiv 2210.14140).

    x_t = argmax over the k most probable v of  (1 - a) p(v | x_<t) - a max_j<t cos(h_v, h_j)

h_j is the input of the head at token j: the state of the last layer, after the final norm. The tokens of the prompt are
included.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.decoding._candidates import Prefix, way_for
from nearfar.decoding._head import forward
from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from transformers import DynamicCache, GenerationConfig, LogitsProcessorList, StoppingCriteriaList
    from transformers.generation.utils import GenerateDecoderOnlyOutput

TOP_K, PENALTY_ALPHA = 4, 0.6


@torch.no_grad()
def contrastive_search(
    model: Any,
    input_ids: Int[Tensor, "b t"],
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    top_k: int | None = None,
    penalty_alpha: float | None = None,
    low_memory: bool = False,
    **model_kwargs: Any,
) -> Int[Tensor, "b t+n"] | GenerateDecoderOnlyOutput:
    """Contrastive search, for `custom_generate` of transformers' `generate`, whose other arguments are unchanged.

    Deterministic. Batches are padded on the left, and a row stops at its end token. The candidates share the keys and
    values of the prefix if the model's attention supports it. Logits processors are applied before the softmax.
    `generate` does not pass a streamer to such a function; use a stopping criterion to observe tokens.

    Args:
        model, input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs: From `generate`.
        top_k: k, the number of candidates per step; 1 is greedy decoding.
        penalty_alpha: a, from 0 (greedy decoding) to 1 (probabilities have no effect). Both default to the values of
            `generation_config` if it has a penalty, else to 4 and 0.6. Use a lower value if the states of the model
            are similar to each other, see `nearfar.decoding.isotropy`.
        low_memory: Run the candidates one after the other: the memory of greedy decoding, k + 1 passes per token.

    Returns:
        As `generate`: token ids, or with `return_dict_in_generate` an object that contains them.

    Raises:
        InputError: An encoder-decoder model, a model without a cache of keys and values, sampling or beam search, or a
            setting out of range.

    Example:
        >>> from nearfar.decoding import contrastive_search
        >>> model.generate(
        ...     **inputs, custom_generate=contrastive_search, top_k=4, penalty_alpha=0.6, max_new_tokens=64
        ... )  # doctest: +SKIP
    """
    k, alpha = _settings(top_k, penalty_alpha, generation_config)
    cache = _check(model, generation_config, model_kwargs)
    choice = _Choice(alpha, k)
    inputs = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **model_kwargs)
    inputs.pop("use_cache", None)
    logits = forward(model, choice.remember, **inputs)[:, -1]
    real = model_kwargs.get("attention_mask")
    real = torch.ones(choice.context.shape[:2], device=input_ids.device) if real is None else real
    prefix = Prefix(model, cache, real.bool(), inputs.get("position_ids"))
    candidates = way_for(model, cache, low_memory)

    padding = _padding(generation_config)
    done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
    kept_scores, kept_logits = [], []
    while not done.all():
        scores = logits_processor(input_ids, logits.to(input_ids.device))  # type: ignore[arg-type]
        kept_logits += [logits.clone()] if generation_config.output_logits else []
        kept_scores += [scores] if generation_config.output_scores else []
        ids = choice.candidates(scores)
        logits = candidates.step(prefix, ids, partial(choice.choose, real=prefix.real))
        chosen = ids.gather(1, choice.number.to(ids.device)[:, None]).masked_fill(done[:, None], padding)
        input_ids = torch.cat([input_ids, chosen], 1)
        done = done | stopping_criteria(input_ids, tuple(kept_scores))  # type: ignore[arg-type]
    if not generation_config.return_dict_in_generate:
        return input_ids
    from transformers.generation.utils import GenerateDecoderOnlyOutput

    return GenerateDecoderOnlyOutput(
        sequences=input_ids,  # type: ignore[arg-type]
        scores=tuple(kept_scores) or None,  # type: ignore[arg-type]
        logits=tuple(kept_logits) or None,  # type: ignore[arg-type]
        past_key_values=cache,
    )


def degeneration(
    candidates: Float[Tensor, "b k d"], context: Float[Tensor, "b t d"], real: Bool[Tensor, "b t"]
) -> Float[Tensor, "b k"]:
    """The maximum cosine of each candidate's state with the states of the context, without padding; unit vectors."""
    cosines = candidates @ context.mT
    return cosines.masked_fill(~real[:, None].to(cosines.device), -torch.inf).amax(-1)


class _Choice:
    """Chooses among candidates, and keeps the states that they are compared with.

    Args:
        alpha: Weight of the penalty.
        k: Number of candidates.
    """

    context: Float[Tensor, "b t d"]
    number: Int[Tensor, " b"]

    def __init__(self, alpha: float, k: int) -> None:
        self.alpha, self.k = alpha, k

    def remember(self, states: Float[Tensor, "b t d"]) -> Float[Tensor, "b 1 d"]:
        """Store the states of the prompt; the last one gives the logits of the first step."""
        self.context = _unit(states)
        return states[:, -1:]

    def candidates(self, scores: Float[Tensor, "b v"]) -> Int[Tensor, "b k"]:
        """The most probable tokens, in descending order. A logits processor may exclude some of the k."""
        likeliest, ids = scores.topk(min(self.k, scores.shape[-1]), -1)
        self._p, self._barred = scores.softmax(-1).gather(1, ids), likeliest == -torch.inf
        return ids

    def choose(self, states: Float[Tensor, "b k d"], real: Bool[Tensor, "b t"]) -> Int[Tensor, " b"]:
        """The index of the chosen candidate; its state is added to the context."""
        found = _unit(states)
        value = (1 - self.alpha) * self._p.to(found.device) - self.alpha * degeneration(found, self.context, real)
        self.number = value.masked_fill(self._barred.to(found.device), -torch.inf).argmax(1)
        kept = found[torch.arange(len(found), device=found.device), self.number]
        self.context = torch.cat([self.context, kept[:, None]], 1)
        return self.number


def _unit(states: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
    # In float32: in half precision, cosines near 1 would be equal, and ties change the chosen token.
    return F.normalize(states.float(), dim=-1)


def _settings(top_k: int | None, penalty_alpha: float | None, config: GenerationConfig) -> tuple[int, float]:
    given: float | None = getattr(config, "penalty_alpha", None)
    if top_k is None:
        top_k = TOP_K if given is None else config.top_k or TOP_K
    if penalty_alpha is None:
        penalty_alpha = PENALTY_ALPHA if given is None else given
    if top_k < 1 or int(top_k) != top_k:
        raise InputError(
            f"invalid value {top_k}: must be an integer of 1 or more", field="top_k", remedy="use for example 4"
        )
    if not 0 <= penalty_alpha <= 1:
        raise InputError(
            f"invalid value {penalty_alpha}: must be 0 to 1", field="penalty_alpha", remedy="use for example 0.6"
        )
    return int(top_k), float(penalty_alpha)


def _check(model: Any, config: GenerationConfig, model_kwargs: dict[str, Any]) -> DynamicCache:
    from transformers import DynamicCache

    if model.config.is_encoder_decoder:
        problem = f"contrastive search requires a decoder-only model, got {type(model).__name__}"
        raise InputError(problem, remedy="use another model or decoding")
    if config.do_sample:
        remedy = "pass do_sample=False; the generation settings of the model may enable it"
        raise InputError("contrastive search does not sample", field="do_sample", remedy=remedy)
    if (config.num_beams or 1) > 1:
        raise InputError("contrastive search does not support beams", field="num_beams", remedy="remove num_beams")
    if (config.num_return_sequences or 1) > 1:
        remedy = "remove it: all sequences would be equal"
        raise InputError("contrastive search returns one sequence", field="num_return_sequences", remedy=remedy)
    for name in ("output_attentions", "output_hidden_states"):
        if getattr(config, name):
            raise InputError("contrastive search does not return these", field=name, remedy=f"remove {name}")
    cache = model_kwargs.get("cache", model_kwargs.get("past_key_values"))  # renamed in transformers 5.24
    if not isinstance(cache, DynamicCache):
        problem = f"contrastive search requires a dynamic cache, which {type(model).__name__} does not use"
        raise InputError(problem, remedy="remove use_cache and cache_implementation, or use another model")
    if cache.get_seq_length():
        problem = "expected an empty cache: a filled one lacks the states to compare with"
        raise InputError(problem, field="past_key_values", remedy="remove past_key_values")
    positions = model_kwargs.get("position_ids")
    if positions is not None and positions.dim() != 2:
        raise InputError(
            f"{type(model).__name__} has multi-dimensional positions, which are not supported",
            remedy="use another model",
        )
    return cache


def _padding(config: GenerationConfig) -> int:
    ends = config.eos_token_id
    known = (config.pad_token_id, *(ends if isinstance(ends, (list, tuple)) else [ends]))
    return int(next((token for token in known if token is not None), 0))
