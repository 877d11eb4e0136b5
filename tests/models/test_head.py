"""The states of a language model and its head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nearfar.errors import InputError
from nearfar.kinds.causal import CausalLM
from nearfar.models.head import states_of


@pytest.fixture(scope="module")
def model(tiny_lm_folder: Path) -> CausalLM:
    return CausalLM.load(tiny_lm_folder, device="cpu")


def test_last_states_give_the_logits(model: CausalLM) -> None:
    tokens = torch.arange(3, 13)
    found = states_of(model.model, tokens)
    with torch.no_grad():
        output = model.model(tokens[None], output_hidden_states=True)
    torch.testing.assert_close(found.layers[-1] @ found.head.T, output.logits[0], rtol=1e-4, atol=1e-4)
    assert len(found.layers) == 3
    torch.testing.assert_close(found.layers[1], output.hidden_states[1][0])
    assert found.bias is None


def test_scaled_logits_scale_the_state(model: CausalLM) -> None:
    from transformers import CohereConfig, CohereForCausalLM

    config = CohereConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        logit_scale=0.25,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    scaled = CohereForCausalLM(config).eval()
    found = states_of(scaled, torch.arange(8))
    with torch.no_grad():
        logits = scaled(torch.arange(8)[None]).logits[0]
    torch.testing.assert_close(found.layers[-1] @ found.head.T, logits, rtol=1e-4, atol=1e-5)


def test_soft_capped_logits_are_refused() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.05,
    )
    with pytest.raises(InputError, match="soft-capping"):
        states_of(Gemma2ForCausalLM(config).eval(), torch.arange(8))


def test_ends_of_tokens(model: CausalLM) -> None:
    tokens, ends = model.tokens("the cat é", 6)
    assert (len(tokens), ends) == (6, [1, 2, 3, 4, 5, 6])
    tokens, ends = model.tokens("é", 6)
    assert ends == [1, 1]  # two bytes of one character
