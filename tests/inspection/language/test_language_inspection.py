"""Inspection of a tiny language model, and of what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F

from nearfar.errors import InputError
from nearfar.inspection.language import LanguageInspection, inspect_language
from nearfar.inspection.language.layers import layers_to_compare
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.loading import load_kind
from nearfar.theory import Laws, Reference, kernels

TEXT = "the cat sits on a mat and the dog runs over green grass while a bird swims in the blue sea"
WORDS = TEXT.split()
TEXTS = [" ".join(WORDS[(7 * n + 3 * k) % len(WORDS)] for k in range(12)) for n in range(12)]
SMALL: dict[str, Any] = {"tokens": 500, "contexts": 120, "offsets": 0}


@pytest.fixture(scope="module")
def documents() -> Dataset:
    return Dataset.from_dict({"text": TEXTS})


@pytest.fixture(scope="module")
def model(tiny_lm_folder: Path) -> CausalLM:
    found = load_kind(tiny_lm_folder, device="cpu")
    assert isinstance(found, CausalLM)
    return found


@pytest.fixture(scope="module")
def other(model: CausalLM) -> CausalLM:
    """The same architecture with other weights: a teacher of no merit."""
    torch.manual_seed(5)
    return CausalLM(type(model.model)(model.model.config).eval(), model.tokenizer)


@pytest.fixture(scope="module")
def found(model: CausalLM, documents: Dataset, quick_probes: None) -> LanguageInspection:
    return inspect_language(model, documents, **{**SMALL, "offsets": 2})


def test_laws_are_those_of_the_model(model: CausalLM, documents: Dataset) -> None:
    """Everything at once, from the logits of all pieces; all documents are shorter than a piece."""
    found = inspect_language(model, documents, tokens=100_000, contexts=60, offsets=0)
    logits, following = [], []
    for text in TEXTS:
        tokens = torch.tensor(model.tokenizer(text)["input_ids"])
        with torch.no_grad():
            logits.append(model.model(tokens[None]).logits[0, :-1])
        following.append(tokens[1:])
    p, tokens = torch.cat(logits).softmax(1).double(), torch.cat(following)
    entropy = float(torch.special.entr(p).sum(1).mean())
    nll = float(F.nll_loss(p.log(), tokens))
    assert found.tokens == len(tokens)
    assert found.laws["entropy"] == pytest.approx(entropy, rel=1e-4)
    assert found.laws["nll"] == pytest.approx(nll, rel=1e-4)
    assert found.laws["gap"] == pytest.approx(entropy - nll, rel=1e-4)
    assert found.laws["collision"] == pytest.approx(float(p.square().sum(1).mean()), rel=1e-4)
    head = model.model.get_output_embeddings().weight.detach().double()
    spread = (p * (head.square().sum(1) - 2 * (p @ head) @ head.T)).sum(1) + (p @ head).square().sum(1)
    assert found.metric["trace"] == pytest.approx(float(spread.mean()), rel=1e-4)
    # Tokens in groups by entropy have the same means.
    assert sum(x for x, _ in found.calibration) / len(found.calibration) == pytest.approx(entropy, rel=0.02)
    assert found.drafting is None


def test_layers_by_default_are_inner_ones(found: LanguageInspection) -> None:
    assert found.kernel is not None
    assert found.kernel.of is None
    assert [each.layer for each in found.layers] == [0, 1]
    for each in found.layers:
        assert each.low.cka <= each.high.cka
        assert 0 <= each.found.alignment <= 1
        assert 0 <= each.found.captured <= 1 + 1e-6


def test_a_teacher_is_compared_with_all_layers(model: CausalLM, other: CausalLM, documents: Dataset) -> None:
    found = inspect_language(model, documents, against=other, layers=[0, 2], **SMALL)
    assert found.kernel is not None
    assert found.kernel.of == "a teacher"
    assert [each.layer for each in found.layers] == [0, 2]
    own = inspect_language(other, documents, **SMALL)
    # The kernel is that of the teacher: its spectrum is what the teacher's own inspection finds.
    assert found.kernel.eigenvalues == pytest.approx(own.kernel.eigenvalues, rel=1e-4)  # pyright: ignore[reportOptionalMemberAccess]


def test_a_teacher_with_another_tokenizer(model: CausalLM, documents: Dataset) -> None:
    """Contexts are those at whose ends tokens of both end: here, words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["<unk>", *dict.fromkeys(WORDS)])}
    words = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    teacher = CausalLM(LlamaForCausalLM(config).eval(), PreTrainedTokenizerFast(tokenizer_object=words))
    found = inspect_language(model, documents, against=teacher, tokens=100_000, contexts=2_000, offsets=0)
    assert found.kernel is not None
    # 12 words in each text: the last has no next token, and a first word of one letter is the first token.
    assert found.kernel.contexts == 11 * len(TEXTS) - sum(text.startswith("a ") for text in TEXTS)


def test_the_kernel_of_the_own_law_and_the_last_state_is_refused(
    tiny_lm_folder: Path, model: CausalLM, documents: Dataset
) -> None:
    with pytest.raises(InputError, match="by construction"):
        inspect_language(model, documents, layers=[2], **SMALL)
    for same in (model, tiny_lm_folder):
        with pytest.raises(InputError, match="--against"):
            inspect_language(same, documents, against=same)
    assert layers_to_compare(2, True, None) == [0, 1, 2]
    with pytest.raises(InputError, match="layers"):
        layers_to_compare(2, True, [3])


def test_by_construction_it_would_agree(model: CausalLM) -> None:
    """Why: the last state agrees with the own law far more than any relation to other laws requires."""
    tokens = model.tokenizer(TEXTS[0])["input_ids"]
    found = model.states(tokens)
    reference = Reference(kernels.prototype(Laws.of_head(found.layers[-1], found.head), found.head), 3)
    assert reference.agreement(found.layers[-1]).cka > reference.agreement(found.layers[0]).cka


def test_drafting(found: LanguageInspection) -> None:
    assert found.drafting is not None
    assert [each.offset for each in found.drafting.offsets] == [1, 2]
    for each in found.drafting.offsets:
        assert set(each.cross_entropy) == set(each.acceptance)
        assert all(value >= each.entropy - 1e-6 for value in each.cross_entropy.values())
        assert all(0 <= value <= 1 for value in each.acceptance.values())
        assert each.surplus["the last state"] <= each.most + 1e-6
    first, second = (each.acceptance["the last state"] for each in found.drafting.offsets)
    assert found.drafting.tokens["the last state"] == pytest.approx(1 + first + first * second)
    assert found.drafting.speed_up["the last state"] == pytest.approx((1 + first + first * second) / 1.1)


def test_the_same_seed_gives_the_same_json(
    model: CausalLM, documents: Dataset, found: LanguageInspection, quick_probes: None
) -> None:
    again = inspect_language(model, documents, **{**SMALL, "offsets": 2}).as_dict()
    first = found.as_dict()
    for each in (again, first):
        each.pop("seconds")
    assert json.dumps(again, allow_nan=False) == json.dumps(first)


def test_few_documents_are_cut_into_pieces(model: CausalLM) -> None:
    found = inspect_language(model, Dataset.from_dict({"text": [" ".join(TEXTS)]}), **{**SMALL, "offsets": 1})
    assert found.pieces == (2, 1)
    assert found.drafting is None
    assert any("later tokens" in note for note in found.notes)


def test_unusable_data_and_models(model: CausalLM, tiny_model_folder: Path, documents: Dataset) -> None:
    with pytest.raises(InputError, match="text"):
        inspect_language(model, Dataset.from_dict({"text": ["short"]}))
    with pytest.raises(InputError, match="causal language model"):
        inspect_language(tiny_model_folder, documents)


def test_without_layers_or_offsets_only_laws_and_metric(model: CausalLM, documents: Dataset) -> None:
    steps: list[tuple[int, int]] = []
    found = inspect_language(model, documents, layers=[], progress=lambda *step: steps.append(step), **SMALL)
    assert found.kernel is None
    assert found.layers == []
    assert found.metric["trace"] > 0
    assert steps[-1][0] == steps[-1][1]
