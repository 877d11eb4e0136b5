"""Decoding against an opposite prompt: worked numbers, and step by step against a plain loop without any cache."""

from __future__ import annotations

import pytest
import torch
from opposed import PROMPTS

from nearfar.errors import InputError
from nearfar.generation import Decoding, Prompt
from nearfar.generation.contrastive import Context, ContrastiveLogits, contrasted
from nearfar.generation.local import LocalModel

L = torch.tensor([[2.0, 2.2, 0.5, 1.9]])
OPPOSITE = torch.tensor([[1.5, 3.0, 0.4, -1.0]])


def test_worked_numbers() -> None:
    assert contrasted(L, OPPOSITE, 0.0).argmax() == 1
    found = contrasted(L, OPPOSITE, 0.3)
    assert found.argmax() == 3
    assert found.softmax(1)[0].tolist() == pytest.approx([0.2497, 0.1945, 0.0775, 0.4783], abs=5e-5)
    by_log_probability = contrasted(L.log_softmax(1), OPPOSITE.log_softmax(1), 0.3)
    torch.testing.assert_close(by_log_probability.softmax(1), found.softmax(1))


def test_plausibility_takes_out_what_the_instruction_itself_finds_unlikely() -> None:
    ratios = (L - L.max()).exp()[0]  # 0.82, 1, 0.18, 0.74 of the likeliest token's probability
    found = contrasted(L, OPPOSITE, 0.3, plausibility=0.78)
    assert torch.isfinite(found).tolist() == [[bool(ratio >= 0.78) for ratio in ratios]] == [[True, True, False, False]]


def by_hand(lm: LocalModel, prompt: Prompt, omega: float, plausibility: float, steps: int) -> list[int]:
    """Both contexts from the beginning at every step, one row alone, the chosen token given to both."""
    chosen: list[int] = []
    for _ in range(steps):
        logits = []
        for text in (prompt.text, str(prompt.opposite)):
            ids = torch.tensor([lm._tokenizer.encode(text) + chosen])
            with torch.no_grad():
                logits.append(lm._model(input_ids=ids).logits[0, -1].double())
        score = logits[0] - omega * logits[1]
        if plausibility:
            score[logits[0].softmax(0) < plausibility * logits[0].softmax(0).max()] = -torch.inf
        chosen.append(int(score.argmax()))
    return chosen


def generated(lm: LocalModel, prompts: list[Prompt], omega: float, plausibility: float, steps: int) -> list[list[int]]:
    rows, against = ([lm._tokenizer.encode(str(t)) for t in texts] for texts in zip(*map(_sides, prompts), strict=True))
    context, opposite = Context.of(lm._model, rows, 0), Context.of(lm._model, against, 0)
    assert context.cache.get_seq_length() > 5, "the prompts share a beginning"
    tokens = lm._model.generate(
        input_ids=context.input_ids,
        attention_mask=context.attention_mask,
        past_key_values=context.cache,
        logits_processor=[ContrastiveLogits(lm._model, opposite, omega, plausibility)],
        max_new_tokens=steps,
        do_sample=False,
        pad_token_id=0,
    )
    return tokens[:, context.input_ids.shape[1] :].tolist()


def _sides(prompt: Prompt) -> tuple[str, str]:
    return prompt.text, str(prompt.opposite)


@pytest.mark.parametrize(("omega", "plausibility"), [(0.0, 0.0), (0.3, 0.0), (0.9, 0.0), (0.9, 0.2)])
def test_a_padded_batch_with_caches_chooses_what_a_plain_loop_chooses(lm, omega, plausibility) -> None:
    expected = [by_hand(lm, prompt, omega, plausibility, 12) for prompt in PROMPTS]
    assert generated(lm, PROMPTS, omega, plausibility, 12) == expected
    if omega:
        assert expected != [by_hand(lm, prompt, 0.0, 0.0, 12) for prompt in PROMPTS], "omega changes nothing here"


def test_omega_zero_is_ordinary_greedy_decoding(lm) -> None:
    for prompt, found in zip(PROMPTS, generated(lm, PROMPTS, 0.0, 0.0, 12), strict=True):
        ids = torch.tensor([lm._tokenizer.encode(prompt.text)])
        plain = lm._model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        assert found == plain[0, ids.shape[1] :].tolist()


def test_an_instruction_against_itself_scales_the_logits(lm) -> None:
    same = [Prompt(prompt.text, prompt.text) for prompt in PROMPTS]
    assert generated(lm, same, 0.6, 0.0, 12) == generated(lm, PROMPTS, 0.0, 0.0, 12)


def test_at_omega_one_the_two_instructions_score_an_answer_with_opposite_signs(lm) -> None:
    """Sum over an answer's tokens of log p(y | I) - omega log p(y | I_opp), which decoding maximises token by token."""

    def log_probabilities(text: str, answer: str) -> torch.Tensor:
        start, ids = len(lm._tokenizer.encode(text)), lm._tokenizer.encode(text + answer)
        with torch.no_grad():
            logits = lm._model(input_ids=torch.tensor([ids])).logits[0, start - 1 : -1].double()
        return logits.log_softmax(1).gather(1, torch.tensor(ids[start:])[:, None])

    (text, opposite), answer = _sides(PROMPTS[0]), " the cat sat"
    a, b = log_probabilities(text, answer), log_probabilities(opposite, answer)
    assert contrasted(a, b, 1.0).sum().item() == pytest.approx(-contrasted(b, a, 1.0).sum().item(), abs=1e-12)
    assert abs(contrasted(a, b, 1.0).sum().item()) > 1e-3


@pytest.mark.parametrize(
    "settings", [{"omega": -0.1}, {"omega": float("inf")}, {"max_tokens": 0}, {"plausibility": 1.5}]
)
def test_decoding_out_of_range(settings) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        Decoding(**settings)
