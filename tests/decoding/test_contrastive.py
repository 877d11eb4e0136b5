"""Contrastive search against a plain loop without any cache, on random models of several families."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import tiny_decoders
import torch
import torch.nn.functional as F
import transformers as T
from tiny_decoders import GPT, PROMPTS

from nearfar.decoding import _candidates, contrastive_search
from nearfar.decoding.contrastive import degeneration
from nearfar.errors import InputError

SIZES = {**tiny_decoders.SIZES, "num_hidden_layers": 3}
FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: T.LlamaForCausalLM(T.LlamaConfig(**SIZES)),
    "llama, eager": lambda: T.LlamaForCausalLM._from_config(T.LlamaConfig(**SIZES), attn_implementation="eager"),
    "gpt2": lambda: T.GPT2LMHeadModel(
        T.GPT2Config(**GPT, n_embd=32, n_layer=2, n_head=4, n_positions=64, pad_token_id=0)
    ),
    "mistral, window 6": lambda: T.MistralForCausalLM(T.MistralConfig(**SIZES, sliding_window=6)),
    "gpt-neo, local attention": lambda: T.GPTNeoForCausalLM(
        T.GPTNeoConfig(
            **GPT,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=6,
            intermediate_size=64,
        )
    ),
    "bloom, no positions": lambda: T.BloomForCausalLM(T.BloomConfig(**GPT, hidden_size=32, n_layer=2, n_head=4)),
}
SHARED = ("llama", "llama, eager", "gpt2")


@cache
def model(family: str = "llama") -> Any:
    torch.manual_seed(0)
    made = FAMILIES[family]().eval()
    made.generation_config = T.GenerationConfig(pad_token_id=0)
    return made


def by_hand(lm: Any, prompt: list[int], k: int, alpha: float, steps: int) -> list[int]:
    """Every candidate's whole sequence read anew at every step."""
    found = list(prompt)
    for _ in range(steps):
        with torch.no_grad():
            now = lm(input_ids=torch.tensor([found]), output_hidden_states=True, use_cache=False)
            p, ids = now.logits[0, -1].softmax(-1).topk(k)
            context = F.normalize(now.hidden_states[-1][0], dim=-1)
            scores = []
            for probability, token in zip(p, ids.tolist(), strict=True):
                then = lm(input_ids=torch.tensor([[*found, token]]), output_hidden_states=True, use_cache=False)
                state = F.normalize(then.hidden_states[-1][0, -1], dim=-1)
                scores.append((1 - alpha) * probability - alpha * (context @ state).max())
        found.append(ids[int(torch.stack(scores).argmax())].item())
    return found[len(prompt) :]


def padded(prompts: list[list[int]]) -> dict[str, torch.Tensor]:
    width = max(map(len, prompts))
    ids = [[0] * (width - len(row)) + row for row in prompts]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in prompts]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def searched(lm: Any, prompts: list[list[int]], steps: int = 12, **settings: Any) -> list[list[int]]:
    inputs = padded(prompts)
    found = lm.generate(**inputs, custom_generate=contrastive_search, max_new_tokens=steps, **settings)
    return found[:, inputs["input_ids"].shape[1] :].tolist()


def greedy(lm: Any, prompts: list[list[int]], steps: int = 12, **settings: Any) -> list[list[int]]:
    inputs = padded(prompts)
    found = lm.generate(**inputs, max_new_tokens=steps, do_sample=False, **settings)
    return found[:, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize(("k", "alpha"), [(4, 0.6), (5, 0.6), (3, 0.4), (4, 1.0)])
def test_a_padded_batch_with_a_cache_chooses_what_a_plain_loop_chooses(k: int, alpha: float) -> None:
    expected = [by_hand(model(), prompt, k, alpha, 12) for prompt in PROMPTS]
    assert searched(model(), PROMPTS, top_k=k, penalty_alpha=alpha) == expected
    assert expected != greedy(model(), PROMPTS), "the penalty changes nothing here"


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_of_models(family: str, caplog: pytest.LogCaptureFixture) -> None:
    _candidates._tell.cache_clear()
    with caplog.at_level(logging.WARNING, "nearfar"):
        found = searched(model(family), PROMPTS, top_k=4, penalty_alpha=0.6)
    assert found == [by_hand(model(family), prompt, 4, 0.6, 12) for prompt in PROMPTS]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (0 if family in SHARED else 1)
    assert all("copy of the cache" in text for text in told)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom, no positions"])
def test_one_candidate_after_the_other_chooses_alike(family: str) -> None:
    settings = {"top_k": 4, "penalty_alpha": 0.6}
    alike = searched(model(family), PROMPTS, low_memory=True, **settings)
    assert alike == searched(model(family), PROMPTS, **settings)


def test_candidates_share_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, lengths = set(), []
    update = T.DynamicCache.update

    def watched(self: Any, keys: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
        whole = update(self, keys, values, *args, **kwargs)
        rows.add(len(whole[0]))
        lengths.append(whole[0].shape[2])
        return whole

    monkeypatch.setattr(T.DynamicCache, "update", watched)
    searched(model(), PROMPTS, steps=5, top_k=4, penalty_alpha=0.6)
    layers, prompt = 3, 11
    assert rows == {2}
    assert lengths == [n for n in (prompt, *(prompt + step + 4 for step in range(5))) for _ in range(layers)]


def test_without_a_penalty_or_a_choice_it_is_greedy_decoding() -> None:
    plain = greedy(model(), PROMPTS, 20)
    assert searched(model(), PROMPTS, 20, top_k=4, penalty_alpha=0.0) == plain
    for alpha in (0.0, 0.6, 1.0):
        assert searched(model(), PROMPTS, 20, top_k=1, penalty_alpha=alpha) == plain


def test_it_draws_nothing() -> None:
    state = torch.random.get_rng_state()
    first = searched(model(), PROMPTS, top_k=5, penalty_alpha=0.6)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(1)
    assert searched(model(), PROMPTS, top_k=5, penalty_alpha=0.6) == first


def test_every_token_is_among_the_k_likeliest() -> None:
    found = searched(model(), PROMPTS, top_k=3, penalty_alpha=1.0)
    for prompt, tokens in zip(PROMPTS, found, strict=True):
        with torch.no_grad():
            logits = model()(input_ids=torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1]
        likeliest = logits.topk(3).indices
        assert (likeliest == torch.tensor(tokens)[:, None]).any(1).all()


def test_worked_step() -> None:
    unit = F.normalize(torch.tensor([[[1.0, 0.1], [-1.0, 1.0], [0.6, -0.8]]]), dim=-1)
    context, p = torch.eye(2)[None], torch.tensor([0.5, 0.3, 0.2])
    penalty = degeneration(unit, context, torch.tensor([[True, True]]))[0]
    assert penalty.tolist() == pytest.approx([0.9950, 0.7071, 0.6000], abs=5e-5)
    for alpha, scores, chosen in (
        (0.0, [0.5, 0.3, 0.2], 0),
        (0.4, [-0.0980, -0.1028, -0.1200], 0),
        (0.6, [-0.3970, -0.3043, -0.2800], 2),
        (1.0, [-0.9950, -0.7071, -0.6000], 2),
    ):
        value = (1 - alpha) * p - alpha * penalty
        assert value.tolist() == pytest.approx(scores, abs=5e-5)
        assert value.argmax() == chosen


def test_padding_and_repeated_states() -> None:
    context = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    candidate = torch.tensor([[[0.0, 1.0]]])
    assert degeneration(candidate, context, torch.tensor([[True, True]])).item() == 1.0
    assert degeneration(candidate, context, torch.tensor([[False, True]])).item() == 0.0


def test_a_row_stops_at_its_own_end() -> None:
    free = searched(model(), PROMPTS, top_k=4, penalty_alpha=0.6)
    end = next(token for token in free[0][2:] if token not in free[1])
    stop = [free[0].index(end) + 1, 12]
    assert stop[0] < 12, "the rows stop at different places"
    found = searched(model(), PROMPTS, top_k=4, penalty_alpha=0.6, eos_token_id=end)
    assert found == [row[:n] + [0] * (12 - n) for row, n in zip(free, stop, strict=True)]
    alone = searched(model(), PROMPTS[:1], top_k=4, penalty_alpha=0.6, eos_token_id=end)
    assert alone == [free[0][: stop[0]]], "and all is over when every row has stopped"


def test_stopping_criteria_are_asked() -> None:
    class After(T.StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            return torch.full((len(input_ids),), input_ids.shape[1] >= 11 + 3)

    found = searched(model(), PROMPTS, top_k=4, stopping_criteria=T.StoppingCriteriaList([After()]))
    assert [len(row) for row in found] == [3, 3]


def test_logits_processors_act_before_the_choice() -> None:
    free = searched(model(), PROMPTS, top_k=4, penalty_alpha=0.6)
    barred = sorted({row[0] for row in free})
    found = searched(model(), PROMPTS, top_k=4, penalty_alpha=0.6, suppress_tokens=barred)
    assert not set(barred) & {token for row in found for token in row}
    # Fewer tokens are left than there are candidates: one that is out must not win by its state.
    only = searched(model(), PROMPTS, top_k=4, penalty_alpha=1.0, suppress_tokens=[n for n in range(97) if n != 50])
    assert only == [[50] * 12] * 2


def test_more_candidates_than_tokens() -> None:
    assert len(searched(model(), PROMPTS[:1], 2, top_k=500, penalty_alpha=0.6)[0]) == 2


def test_the_dictionary_that_generate_promises() -> None:
    inputs = padded(PROMPTS)
    settings = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}
    found = model().generate(
        **inputs, custom_generate=contrastive_search, top_k=4, penalty_alpha=0.6, max_new_tokens=3, **settings
    )
    assert found.sequences[:, 11:].tolist() == searched(model(), PROMPTS, 3, top_k=4, penalty_alpha=0.6)
    assert [score.shape for score in found.scores] == [(2, 97)] * 3 == [logits.shape for logits in found.logits]
    assert found.past_key_values.get_seq_length() == 14
    assert found.past_key_values.layers[0].keys.shape[0] == 2


def test_settings_in_a_generation_config_count() -> None:
    config = T.GenerationConfig(penalty_alpha=0.4, top_k=3, max_new_tokens=12, pad_token_id=0)
    inputs = padded(PROMPTS)
    found = model().generate(**inputs, custom_generate=contrastive_search, generation_config=config)
    assert found[:, 11:].tolist() == searched(model(), PROMPTS, top_k=3, penalty_alpha=0.4)
    # Without a penalty there, its top_k (transformers' default, and sampling's) is not ours.
    assert searched(model(), PROMPTS) == searched(model(), PROMPTS, top_k=4, penalty_alpha=0.6)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"do_sample": True}, "do_sample"),
        ({"num_beams": 2}, "num_beams"),
        ({"num_return_sequences": 2, "do_sample": True}, "do_sample"),
        ({"top_k": 0}, "top_k"),
        ({"penalty_alpha": 1.2}, "penalty_alpha"),
        ({"penalty_alpha": float("nan")}, "penalty_alpha"),
        ({"use_cache": False}, "cache"),
        ({"cache_implementation": "static"}, "cache"),
        ({"output_hidden_states": True}, "output_hidden_states"),
    ],
)
def test_what_it_cannot_do_is_one_line(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        searched(model(), PROMPTS, **settings)
    assert "\n" not in str(caught.value)


def test_a_filled_cache_is_refused() -> None:
    inputs = padded(PROMPTS[:1])
    filled = model()(input_ids=inputs["input_ids"][:, :5], use_cache=True).past_key_values
    with pytest.raises(InputError, match="past_key_values"):
        model().generate(**inputs, past_key_values=filled, custom_generate=contrastive_search, max_new_tokens=2)


def test_models_that_do_not_fit_are_one_line() -> None:
    small: dict[str, Any] = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 97}
    t5 = T.T5ForConditionalGeneration(T.T5Config(**small, decoder_start_token_id=0)).eval()
    with pytest.raises(InputError, match="T5"):
        t5.generate(torch.tensor([[5, 6]]), custom_generate=contrastive_search, max_new_tokens=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="low_memory"):
        searched(model("mistral, window 6"), PROMPTS, low_memory=True)
