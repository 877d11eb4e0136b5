"""The logits of yes and no that a CrossEncoder gives to pairs of texts, for training and for scoring.

A CrossEncoder is a classifier with one logit, which counts as the logit of yes while that of no is 0; or a causal
language model that answers after a prompt (`LogitScore` of sentence-transformers). Of a language model the state at the
last position of each prompt is taken, whatever the side of the padding, and multiplied with two rows of the head only.
Pairs are read in order of length. Without gradients, what the prompts of a query begin with is computed once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nearfar.models.packing import by_length, chunk_tokens

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import CrossEncoder
    from transformers import DynamicCache

__all__ = ["answer_logits", "answer_scores", "answers_yes_or_no", "hidden_size", "pair_logits", "score_by"]

#: Tokens in one forward pass. On a CPU the time of these models is in proportion to them, down to a single short text:
#: small batches have the least padding.
CHUNK_TOKENS = {"cpu": 256, "cuda": 32768}
#: The prompts of a query are shared only where that saves at least this part of their tokens.
LEAST_SAVED = 0.2


def answers_yes_or_no(model: CrossEncoder) -> bool:
    """Whether a CrossEncoder is a language model that answers, and not a classifier."""
    from sentence_transformers.cross_encoder.modules import LogitScore

    return isinstance(model[-1], LogitScore)


def answer_logits(
    model: CrossEncoder,
    pairs: Sequence[tuple[str, str]],
    *,
    vector: Float[Tensor, " d"] | None = None,
    prompt: str | None = None,
    tokens: int | None = None,
) -> Float[Tensor, "n logits"]:
    """The logits z_y and z_n of each pair, in float32; gradients flow if they are enabled.

    Args:
        model: A CrossEncoder with one output, or one wrapped for distributed training.
        pairs: Queries and documents.
        vector: A third row for the head of a language model, which gives a third column.
        prompt: What `CrossEncoder.predict` calls so; of a language model, the instruction.
        tokens: Maximum number of tokens in one forward pass; by default chosen by device.
    """
    own: CrossEncoder = getattr(model, "module", model)
    # The wrapper has this method too; see the trainer of sentence-transformers.
    features = own.preprocess(list(pairs), prompt=prompt)
    if not answers_yes_or_no(own):
        features = {k: v.to(own.device) if isinstance(v, Tensor) else v for k, v in features.items()}
        yes = by_length(model, features, "scores", tokens or _limit(own))[:, 0].float()
        return torch.stack([yes, torch.zeros_like(yes)], 1)
    with _answer_head(own, vector) as head:
        prompts = _prompts(features)
        limit = tokens or _limit(own)
        order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
        found = []
        for rows in _chunks(order, [len(each) for each in prompts], limit):
            ids, mask = _padded([prompts[row] for row in rows], own)
            head.last = mask.sum(1) - 1
            given = {"input_ids": ids, "attention_mask": mask, "modality": features["modality"], "logits_to_keep": 0}
            found.append(model(given)["causal_logits"][:, 0].float())
        return torch.cat(found)[torch.argsort(torch.tensor(order, device=own.device))]


@torch.inference_mode()
def answer_scores(
    model: CrossEncoder, pairs: Sequence[tuple[str, str]], *, prompt: str | None = None, tokens: int | None = None
) -> Float[Tensor, " n"]:
    """What `CrossEncoder.predict` gives without an activation: z_y - z_n, or z_y where the model has only this token.

    The same numbers up to rounding, in less time: what the prompts of one query have in common at their beginning is
    computed once. Where a prompt does not begin with the query, that is the instruction.

    Args:
        model: A language model that answers yes or no, see `answers_yes_or_no`.
        pairs: Queries and documents; those of one query need not be neighbours.
        prompt, tokens: See `answer_logits`.
    """
    model.eval()
    found = torch.empty(len(pairs), device=model.device)
    of_query: dict[str, list[int]] = {}
    for row, (query, _) in enumerate(pairs):
        of_query.setdefault(query, []).append(row)
    groups = [rows for rows in of_query.values() if len(rows) > 1]
    # Pairs whose query has no other document still share the instruction.
    single = [rows[0] for rows in of_query.values() if len(rows) == 1]
    with _answer_head(model, None) as head:
        for rows in [*groups, *([single] if single else [])]:
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                features = model.preprocess([pairs[row] for row in part], prompt=prompt)
                found[part] = _scores(model, _prompts(features), head, tokens or _limit(model))
    return found


@torch.inference_mode()
def pair_logits(
    model: CrossEncoder, pairs: Sequence[tuple[str, str]], *, batch_size: int = 64
) -> Float[Tensor, "n outputs"]:
    """What `CrossEncoder.predict` gives without an activation, in float32: the same up to rounding, in less time.

    Args:
        model: Any CrossEncoder; its default prompt is used.
        pairs: Queries and documents.
        batch_size: Limits a forward pass to so many pairs of 512 tokens, or more pairs that are shorter.
    """
    prompt = model.prompts.get(model.default_prompt_name or "") or None
    tokens = min(_limit(model), 512 * batch_size)
    if answers_yes_or_no(model):
        return answer_scores(model, pairs, prompt=prompt, tokens=tokens)[:, None]
    model.eval()
    order = sorted(range(len(pairs)), key=lambda row: -len(pairs[row][0]) - len(pairs[row][1]))
    found = []
    for start in range(0, len(pairs), _AT_ONCE):
        features = model.preprocess([pairs[row] for row in order[start : start + _AT_ONCE]], prompt=prompt)
        features = {k: v.to(model.device) if isinstance(v, Tensor) else v for k, v in features.items()}
        found.append(by_length(model, features, "scores", tokens).float())
    return torch.cat(found)[torch.argsort(torch.tensor(order, device=model.device))]


def hidden_size(model: CrossEncoder) -> int:
    """Width of the states that the head of a language model reads.

    Raises:
        ValueError: The model is a classifier.
    """
    if not answers_yes_or_no(model):
        raise ValueError("expected a language model that answers yes or no, got a classifier")
    return int(_language_model(model).get_output_embeddings().weight.shape[1])


def score_by(
    model: CrossEncoder, direction: Literal["sft", "cl", "random"], vector: Float[Tensor, " d"] | None = None
) -> None:
    """Score with what a direction of `nearfar.losses.reranking` pushes, in place: `sft`: z_y - z_n; otherwise z_y.

    Args:
        model: A CrossEncoder; a classifier stays as it is, because its z_n is 0.
        direction: The direction.
        vector: Becomes the row of yes in the head, which is no longer tied to the embeddings of tokens.
    """
    if not answers_yes_or_no(model):
        return
    score: Any = model[-1]
    score.false_token_id = _no_token(model) if direction == "sft" else None
    if vector is None:
        return
    language = _language_model(model)
    head, embeddings = language.get_output_embeddings(), language.get_input_embeddings()
    if head.weight is embeddings.weight:
        head.weight = nn.Parameter(head.weight.detach().clone())
        for config in {id(each): each for each in (language.config, language.config.get_text_config())}.values():
            config.tie_word_embeddings = False
        language.all_tied_weights_keys = {}
    with torch.no_grad():
        head.weight[score.true_token_id] = vector.to(head.weight.dtype)
        if head.bias is not None:
            head.bias[score.true_token_id] = 0


#: Pairs that are tokenised at once.
_AT_ONCE = 1024


def _no_token(model: CrossEncoder) -> int:
    """The id of no, also of a model that is scored by the logit of yes alone."""
    head: Any = model[-1]
    if head.false_token_id is not None:
        return head.false_token_id
    return model.tokenizer.convert_tokens_to_ids(
        model.tokenizer.convert_ids_to_tokens(head.true_token_id).replace("yes", "no")
    )


class _Answers(nn.Module):
    """Takes the place of a language model's head: the logits of some tokens at the last position of each prompt."""

    def __init__(self, head: nn.Module, tokens: Sequence[int], vector: Tensor | None) -> None:
        super().__init__()
        self.head, self.tokens, self.last = head, list(tokens), torch.empty(0)
        self.vector, self.only_yes = vector, False

    def forward(self, hidden: Float[Tensor, "n length d"]) -> Float[Tensor, "n 1 logits"]:
        """The logits, in the order of the tokens; then the product with the vector."""
        states = hidden[torch.arange(len(hidden), device=hidden.device), self.last]
        if type(self.head) is nn.Linear:
            bias = None if self.head.bias is None else self.head.bias[self.tokens]
            logits = F.linear(states, self.head.weight[self.tokens], bias)
        else:  # such as a head with an adapter
            logits = self.head(states)[:, self.tokens]
        if self.vector is not None:
            logits = torch.cat([logits, (states @ self.vector.to(states.dtype))[:, None]], 1)
        return logits[:, None]


@contextmanager
def _answer_head(model: CrossEncoder, vector: Tensor | None) -> Iterator[_Answers]:
    """Give a language model a head of two or three rows. Whatever its `forward` does to logits is done to these."""
    language, score = _language_model(model), cast("Any", model[-1])
    head = language.get_output_embeddings()
    ids = score.true_token_id, score.false_token_id
    answers = _Answers(head, [ids[0], _no_token(model)], vector)
    answers.only_yes = ids[1] is None
    language.set_output_embeddings(answers)
    score.true_token_id, score.false_token_id = 0, 1
    try:
        yield answers
    finally:
        language.set_output_embeddings(head)
        score.true_token_id, score.false_token_id = ids


def _language_model(model: CrossEncoder) -> Any:
    return model.transformers_model


def _prompts(features: dict[str, Any]) -> list[list[int]]:
    """The tokens of each prompt, without padding."""
    rows = zip(features["input_ids"].tolist(), features["attention_mask"].tolist(), strict=True)
    return [[token for token, real in zip(ids, mask, strict=True) if real] for ids, mask in rows]


def _limit(model: CrossEncoder) -> int:
    return chunk_tokens(model.device, CHUNK_TOKENS)


def _chunks(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Parts of an order, longest rows first, with at most so many tokens and padding, but at least one row."""
    start = 0
    while start < len(order):
        end = start + max(1, tokens // max(1, lengths[order[start]]))
        yield list(order[start:end])
        start = end


def _padded(prompts: Sequence[Sequence[int]], model: CrossEncoder) -> tuple[Tensor, Tensor]:
    """Tokens and mask, padded on the right: positions count from the first token in every architecture."""
    width = max(map(len, prompts))
    filler = model.tokenizer.pad_token_id or 0
    ids = torch.tensor([[*each, *[filler] * (width - len(each))] for each in prompts], device=model.device)
    mask = torch.tensor([[1] * len(each) + [0] * (width - len(each)) for each in prompts], device=model.device)
    return ids, mask


def _scores(model: CrossEncoder, prompts: Sequence[list[int]], head: _Answers, tokens: int) -> Tensor:
    """The scores of prompts that may begin alike."""
    language = _language_model(model)
    # One token of each remains, whose state is read.
    shared = min(_alike(min(prompts), max(prompts)), min(map(len, prompts)) - 1)
    cache = None
    if shared * (len(prompts) - 1) >= LEAST_SAVED * sum(map(len, prompts)):
        cache = _empty_cache(language)
    if cache is None:
        shared = 0
    else:
        head.last = torch.tensor([shared - 1], device=model.device)
        language(
            input_ids=torch.tensor([prompts[0][:shared]], device=model.device), past_key_values=cache, use_cache=True
        )
    rests = [each[shared:] for each in prompts]
    order = sorted(range(len(rests)), key=lambda row: -len(rests[row]))
    found = torch.empty(len(rests), device=model.device)
    for rows in _chunks(order, [len(each) for each in rests], tokens):
        ids, mask = _padded([rests[row] for row in rows], model)
        head.last = mask.sum(1) - 1
        given: dict[str, Any] = {"use_cache": False}
        if cache is not None:
            mask = F.pad(mask, (shared, 0), value=1)
            positions = shared + torch.arange(ids.shape[1], device=model.device)
            given = {
                "past_key_values": _expanded(cache, len(rows)),
                "use_cache": True,
                "position_ids": positions.expand(len(rows), -1),
            }
        logits = language(input_ids=ids, attention_mask=mask, **given).logits[:, 0].float()
        found[rows] = logits[:, 0] if head.only_yes else logits[:, 0] - logits[:, 1]
    return found


def _alike(first: Sequence[int], second: Sequence[int]) -> int:
    """The number of tokens that two prompts have in common at their beginning.

    Of the first and the last prompt in lexicographic order, it is the number that all prompts have in common.
    """
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _empty_cache(language: Any) -> DynamicCache | None:
    """A cache of keys and values that can be given to several rows; None for models with other states (Mamba)."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    cache = DynamicCache(config=language.config)
    return cache if all(type(each) in (DynamicLayer, DynamicSlidingWindowLayer) for each in cache.layers) else None


def _expanded(cache: Any, rows: int) -> Any:
    """The cache of one row as that of several, without a copy; what a row adds does not reach the original."""
    found = copy.copy(cache)
    found.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in found.layers:
        layer.keys = layer.keys.expand(rows, -1, -1, -1)
        layer.values = layer.values.expand(rows, -1, -1, -1)
    return found
