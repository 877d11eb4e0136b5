"""Masked language modelling: which tokens are chosen, its value, and that it can be learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from nearfar.losses.masked import MaskedLanguageLoss
from nearfar.models import load
from nearfar.models.masked_head import masked_head

TEXTS = ["the cat sits on the mat", "a dog", "the bird flies over the sea and the fish swims"]


@pytest.fixture
def made(tiny_model_folder: Path, tmp_path: Path) -> Any:
    words = AutoTokenizer.from_pretrained(str(tiny_model_folder))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    model = load(tmp_path, device="cpu")
    head = masked_head(model)
    assert head is not None
    return model, MaskedLanguageLoss(head, model.tokenizer, probability=0.5)


def test_special_tokens_are_not_chosen_and_the_batch_stays(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, loss = made
    seen = []
    original = F.cross_entropy

    def kept(logits: Any, labels: Any) -> Any:
        seen.append(labels)
        return original(logits, labels)

    monkeypatch.setattr(F, "cross_entropy", kept)
    features: Any = model.preprocess(TEXTS)
    before = {name: value.clone() for name, value in features.items() if torch.is_tensor(value)}
    torch.manual_seed(0)
    value = loss(model, features)
    assert torch.isfinite(value)
    assert all(torch.equal(features[name], value) for name, value in before.items())
    special = set(model.tokenizer.all_special_ids)
    assert not special & set(seen[0].tolist())
    tokens = int((~torch.isin(before["input_ids"], torch.tensor(sorted(special)))).sum())
    assert 0 < len(seen[0]) < tokens


def test_without_a_chosen_token_the_loss_is_zero(made: Any) -> None:
    model, _ = made
    none = MaskedLanguageLoss(masked_head(model), model.tokenizer, probability=0.0)  # type: ignore[arg-type]
    value = none(model, model.preprocess(TEXTS))
    value.backward()
    assert float(value.detach()) == 0


def test_it_is_learned_by_encoder_and_head(made: Any) -> None:
    model, loss = made
    parameters = [*{*model.parameters(), *loss.parameters()}]
    optimizer = torch.optim.Adam(parameters, 3e-3)
    torch.manual_seed(0)
    values = []
    for _ in range(60):
        value = loss(model, model.preprocess(TEXTS))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert sum(values[-10:]) < 0.75 * sum(values[:10])
