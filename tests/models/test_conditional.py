"""Padding, losses of targets and sampling, for both kinds of language model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from nearfar.kinds.causal import CausalLM
from nearfar.kinds.seq2seq import Seq2SeqLM
from nearfar.models.conditional import mean_losses, padded, until_end
from nearfar.models.discriminator import Discriminator

SOURCES = ["explain: one cat", "explain: two dogs and a bird", "explain: sea"]
TARGETS = ["the cat is one", "birds", "the sea is blue and the sky too"]


def word_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", *dict.fromkeys(word for text in SOURCES + TARGETS for word in text.split())]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module", params=["seq2seq LM", "causal LM"])
def student(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    tokenizer, size = word_tokenizer(), {"pad_token_id": 0, "eos_token_id": 1}
    if request.param == "seq2seq LM":
        shape = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
        config = T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, **shape, **size)
        return Seq2SeqLM(T5ForConditionalGeneration(config).eval(), tokenizer)
    llama = {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64}
    shape = {"hidden_size": 32, "intermediate_size": 64}
    config = LlamaConfig(vocab_size=len(tokenizer), bos_token_id=1, **shape, **llama, **size)
    return CausalLM(LlamaForCausalLM(config).eval(), tokenizer)


def test_the_loss_of_a_target_does_not_depend_on_its_batch(student: Any) -> None:
    targets = student.target_tokens(TARGETS)
    owners = [2, 0, 0]
    with torch.no_grad():
        together = student.target_losses(student.model, SOURCES, targets, owners)
        alone = [
            student.target_losses(student.model, [SOURCES[owner]], [target], [0])
            for target, owner in zip(targets, owners, strict=True)
        ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert len(set(together.tolist())) == 3


def test_the_loss_is_that_of_the_model_for_one_target(student: Any) -> None:
    (target,) = student.target_tokens(TARGETS[:1])
    with torch.no_grad():
        found = student.target_losses(student.model, SOURCES, [target], [1])
        if isinstance(student, Seq2SeqLM):
            batch = student.tokenizer(SOURCES[1], return_tensors="pt")
            expected = student.model(**{n: batch[n] for n in ("input_ids", "attention_mask")}, labels=target[None]).loss
        else:
            tokens, _ = student.pair_tokens(SOURCES[1:2], [target])
            before = tokens.shape[1] - len(target)
            labels = tokens.clone()
            labels[:, :before] = -100
            expected = student.model(input_ids=tokens, labels=labels).loss
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)


def test_a_causal_model_computes_the_logits_of_targets_alone(student: Any) -> None:
    if not isinstance(student, CausalLM):
        pytest.skip("the decoder of a sequence-to-sequence model reads nothing but targets")
    targets, seen = student.target_tokens(TARGETS), []
    head: Any = student.model.get_output_embeddings()
    with head.register_forward_hook(lambda _, __, logits: seen.append(logits.shape[:-1].numel())):
        student.target_losses(student.model, SOURCES, targets, [2, 0, 0])
    assert seen == [sum(map(len, targets))]


def test_samples_depend_on_the_seed_alone_and_change_nothing(student: Any) -> None:
    student.model.train()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (
        student.sample_targets(SOURCES, temperature=1.5, max_new_tokens=6, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert student.model.training
    student.model.eval()
    assert [row.tolist() for row in one] == [row.tolist() for row in same]
    assert [row.tolist() for row in one] != [row.tolist() for row in other]
    assert max(len(row) for row in one) <= 6


def test_greedy_targets_are_the_same_alone_and_in_a_batch(student: Any) -> None:
    together = student.sample_targets(SOURCES, max_new_tokens=5)
    alone = [student.sample_targets([source], max_new_tokens=5)[0] for source in SOURCES]
    assert [row.tolist() for row in together] == [row.tolist() for row in alone]
    assert len(student.target_texts(together)) == 3


def test_prefixes_are_kept_in_the_configuration(student: Any) -> None:
    assert student.prefixes == {}
    student.prefixes = {"predict": "p: "}
    assert student.prefixes == {"predict": "p: "}
    assert student.model.config.to_dict()["task_specific_params"] == {"predict": {"prefix": "p: "}}
    del student.model.config.task_specific_params


def test_a_discriminator_with_weights_of_its_own(student: Any) -> None:
    judge = Discriminator.like(student).eval()
    own = {id(each) for each in student.model.parameters()}
    assert not own & {id(each) for each in judge.parameters()}
    targets = student.target_tokens(TARGETS)
    with torch.no_grad():
        together = judge.logits(student, SOURCES, targets, [0, 1, 2])
        alone = torch.cat([judge.logits(student, SOURCES, [targets[n]], [n]) for n in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert judge.logits(student, SOURCES, [], []).shape == (0,)


def test_padding_and_ends() -> None:
    rows = [torch.tensor([5, 6, 7]), torch.tensor([8])]
    tokens, mask = padded(rows, 0, "cpu")
    assert tokens.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]
    assert padded(rows, 0, "cpu", left=True)[0].tolist() == [[5, 6, 7], [0, 0, 8]]
    assert until_end(torch.tensor([4, 1, 9, 0]), [1], 0).tolist() == [4, 1]
    assert until_end(torch.tensor([4, 9, 0, 0]), [1], 0).tolist() == [4, 9]
    labels = torch.tensor([[2, -100], [1, 0]])
    logits = torch.zeros(2, 2, 4)
    torch.testing.assert_close(mean_losses(logits, labels), torch.log(torch.tensor(4.0)).expand(2))
