"""Contrastive search: of the likeliest tokens, the one whose state is least like a state that was there already.

Su et al. 2022, A Contrastive Framework for Neural Text Generation (arXiv 2202.06417); Su & Collier 2023, Contrastive
Search Is What You Need For Neural Text Generation (arXiv 2210.14140).

    x_t = argmax over the k likeliest v of  (1 - a) p(v | x_<t) - a max_j<t cos(h_v, h_j)

h_j is the state that the head reads at token j: the last layer's, after the final norm. The prompt's tokens count too.
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
    """Decode by contrastive search; `generate` of transformers calls this, and its other arguments keep their meaning.

    Deterministic. Batches are padded on the left, and a row stops at its own end token. The candidates share the
    prefix's keys and values where the model's attention lets them. Logits processors act before the probabilities are
    taken. `generate` passes no streamer on to such a function; watch the tokens by a stopping criterion.

    Args:
        model, input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs: From `generate`.
        top_k: k, the candidates at each step; 1 is greedy decoding.
        penalty_alpha: a, from 0 (greedy decoding) to 1 (the model's probabilities no longer count). Both are taken
            from `generation_config` where that has a penalty, and else are 4 and 0.6. Lower it where the model's states
            are all alike, see `nearfar.decoding.isotropy`.
        low_memory: Run the candidates one after the other: the memory of greedy decoding, k + 1 passes a token.

    Returns:
        As `generate` says: token ids, or with `return_dict_in_generate` an object that holds them.

    Raises:
        InputError: an encoder-decoder, a model without a cache of keys and values, sampling or beams, or a setting out
            of range.

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
    """The largest cosine of each candidate's state with a state of the context; unit vectors, padding left out."""
    cosines = candidates @ context.mT
    return cosines.masked_fill(~real[:, None].to(cosines.device), -torch.inf).amax(-1)


class _Choice:
    """Which of the candidates it is to be, and the states that they are compared with.

    Args:
        alpha: The penalty's weight.
        k: Candidates.
    """

    context: Float[Tensor, "b t d"]
    number: Int[Tensor, " b"]

    def __init__(self, alpha: float, k: int) -> None:
        self.alpha, self.k = alpha, k

    def remember(self, states: Float[Tensor, "b t d"]) -> Float[Tensor, "b 1 d"]:
        """Take in the prompt's states; the last of them has the logits of the first step."""
        self.context = _unit(states)
        return states[:, -1:]

    def candidates(self, scores: Float[Tensor, "b v"]) -> Int[Tensor, "b k"]:
        """The likeliest tokens, the likeliest first. A logits processor may have left fewer than k."""
        likeliest, ids = scores.topk(min(self.k, scores.shape[-1]), -1)
        self._p, self._barred = scores.softmax(-1).gather(1, ids), likeliest == -torch.inf
        return ids

    def choose(self, states: Float[Tensor, "b k d"], real: Bool[Tensor, "b t"]) -> Int[Tensor, " b"]:
        """The number of the candidate to keep; its state joins the context."""
        found = _unit(states)
        value = (1 - self.alpha) * self._p.to(found.device) - self.alpha * degeneration(found, self.context, real)
        self.number = value.masked_fill(self._barred.to(found.device), -torch.inf).argmax(1)
        kept = found[torch.arange(len(found), device=found.device), self.number]
        self.context = torch.cat([self.context, kept[:, None]], 1)
        return self.number


def _unit(states: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
    # In float32: cosines near 1 tie in half precision, and a tie decides a token.
    return F.normalize(states.float(), dim=-1)


def _settings(top_k: int | None, penalty_alpha: float | None, config: GenerationConfig) -> tuple[int, float]:
    given: float | None = getattr(config, "penalty_alpha", None)
    if top_k is None:
        top_k = TOP_K if given is None else config.top_k or TOP_K
    if penalty_alpha is None:
        penalty_alpha = PENALTY_ALPHA if given is None else given
    if top_k < 1 or int(top_k) != top_k:
        raise InputError(f"{top_k} candidates are no choice", field="top_k", remedy="use 1 or more, e.g. 4")
    if not 0 <= penalty_alpha <= 1:
        raise InputError(f"{penalty_alpha} is out of range", field="penalty_alpha", remedy="use 0 to 1, e.g. 0.6")
    return int(top_k), float(penalty_alpha)


def _check(model: Any, config: GenerationConfig, model_kwargs: dict[str, Any]) -> DynamicCache:
    from transformers import DynamicCache

    if model.config.is_encoder_decoder:
        problem = f"{type(model).__name__} has an encoder, and contrastive search reads the states of one sequence"
        raise InputError(problem, remedy="use a model that only decodes")
    if config.do_sample:
        remedy = "pass do_sample=False; the model's own settings may turn it on"
        raise InputError("contrastive search draws nothing", field="do_sample", remedy=remedy)
    if (config.num_beams or 1) > 1:
        raise InputError("contrastive search has no beams", field="num_beams", remedy="leave it out")
    if (config.num_return_sequences or 1) > 1:
        remedy = "leave it out: all would be the same"
        raise InputError("contrastive search finds one text", field="num_return_sequences", remedy=remedy)
    for name in ("output_attentions", "output_hidden_states"):
        if getattr(config, name):
            raise InputError("contrastive search does not keep these", field=name, remedy="leave it out")
    cache = model_kwargs.get("past_key_values")
    if not isinstance(cache, DynamicCache):
        problem = f"{type(model).__name__} runs without a cache that grows, which contrastive search needs"
        raise InputError(problem, remedy="leave use_cache and cache_implementation out, or use another model")
    if cache.get_seq_length():
        problem = "a cache that is filled already has no states to compare with"
        raise InputError(problem, field="past_key_values", remedy="leave it out")
    positions = model_kwargs.get("position_ids")
    if positions is not None and positions.dim() != 2:
        raise InputError(f"{type(model).__name__} has positions of several dimensions", remedy="use another model")
    return cache


def _padding(config: GenerationConfig) -> int:
    ends = config.eos_token_id
    known = (config.pad_token_id, *(ends if isinstance(ends, (list, tuple)) else [ends]))
    return int(next((token for token in known if token is not None), 0))
