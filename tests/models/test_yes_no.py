"""Rerankers that answer yes or no: the prompt, two rows of the head, and the scores of CrossEncoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

import nearfar
from nearfar.errors import InputError
from nearfar.models.cross_encoder import load_cross_encoder
from nearfar.models.yes_no import answer_logits, answer_scores, pair_logits, score_by
from nearfar.models.yes_no_prompts import INSTRUCTION, set_prompt

CHAT = (
    "{%- for message in messages -%}<|{{ message['role'] }}|>{{ message['content'] }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
WITHOUT_SYSTEM = (
    "{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('no such role') }}{%- endif -%}"
    "[INST] {{ messages[0]['content'] }} [/INST]"
)


def pairs_of(queries: int = 3) -> list[tuple[str, str]]:
    generator = np.random.default_rng(0)

    def text(length: int) -> str:
        return " ".join(generator.choice(["the", "a", "cat", "dog", "sky", "sea", "bank", "money", "red"], length))

    return [(query, text(1 + 3 * k)) for query in (text(3 + q) for q in range(queries)) for k in range(7)]


def raw(model: CrossEncoder, pairs: list[tuple[str, str]], **options) -> np.ndarray:
    return np.asarray(model.predict(pairs, activation_fn=torch.nn.Identity(), **options))


@pytest.fixture
def model(yes_no_folder: Path) -> CrossEncoder:
    found = load_cross_encoder(yes_no_folder, device="cpu")
    with torch.no_grad():
        for weights in found.parameters():  # random logits that differ
            weights.mul_(4)
    set_prompt(found)
    return found


def test_scores_are_those_of_the_host_library(model: CrossEncoder) -> None:
    pairs = [*pairs_of(), ("the only one", "a dog")]
    expected = raw(model, pairs, batch_size=1)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(answer_scores(model, pairs).numpy(), expected, atol=1e-4)
    # Whatever fits into one forward pass.
    np.testing.assert_allclose(answer_scores(model, pairs, tokens=1).numpy(), expected, atol=1e-4)
    logits = answer_logits(model, pairs, tokens=300).detach()
    np.testing.assert_allclose((logits[:, 0] - logits[:, 1]).numpy(), expected, atol=1e-4)


def test_shared_prompts_are_computed_once(model: CrossEncoder, monkeypatch) -> None:
    read: list[int] = []
    language = model.transformers_model
    original = language.forward

    def counted(*args, input_ids=None, **rest):
        read.append(input_ids.numel())
        return original(*args, input_ids=input_ids, **rest)

    monkeypatch.setattr(language, "forward", counted)
    pairs = pairs_of(1)
    answer_scores(model, pairs)
    shared = sum(read)
    read.clear()
    raw(model, pairs, batch_size=1)
    assert shared < 0.5 * sum(read)


def test_a_model_with_sliding_windows_or_limited_logits_scores_the_same(words_tokenizer, tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = MistralConfig(
        vocab_size=len(words_tokenizer), **size, num_key_value_heads=1, sliding_window=16, max_position_embeddings=256
    )
    MistralForCausalLM(config).save_pretrained(tmp_path)
    words_tokenizer.save_pretrained(tmp_path)
    model = load_cross_encoder(tmp_path, device="cpu")
    set_prompt(model)
    np.testing.assert_allclose(
        answer_scores(model, pairs_of()).numpy(), raw(model, pairs_of(), batch_size=1), atol=1e-4
    )


def test_a_tokenizer_without_a_padding_token_scores_the_same(yes_no_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(yes_no_folder, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    found = []
    for base in (yes_no_folder, folder):
        model = load_cross_encoder(base, device="cpu")
        set_prompt(model)
        found.append((raw(model, pairs_of()), answer_scores(model, pairs_of()).numpy()))
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)


def test_only_two_rows_of_the_head_are_computed(model: CrossEncoder) -> None:
    language = model.transformers_model
    head = language.get_output_embeddings()
    widths = []
    hook = language.register_forward_hook(lambda _, __, output: widths.append(output.logits.shape[-1]))
    logits = answer_logits(model, pairs_of(1))
    answer_scores(model, pairs_of(1))
    hook.remove()
    assert set(widths) == {2}
    assert language.get_output_embeddings() is head
    logits.sum().backward()
    assert set(torch.nonzero(head.weight.grad.abs().sum(1)).flatten().tolist()) == {
        model[-1].true_token_id,
        model[-1].false_token_id,
    }


def test_the_saved_folder_gives_the_same_scores(model: CrossEncoder, tmp_path: Path) -> None:
    expected = raw(model, pairs_of())
    model.save_pretrained(str(tmp_path / "model"))
    np.testing.assert_array_equal(raw(CrossEncoder(str(tmp_path / "model"), device="cpu"), pairs_of()), expected)
    np.testing.assert_array_equal(raw(nearfar.load(tmp_path / "model", device="cpu"), pairs_of()), expected)
    again = load_cross_encoder(tmp_path / "model", device="cpu")
    set_prompt(again, "another instruction")  # it has its prompt already
    np.testing.assert_array_equal(raw(again, pairs_of()), expected)


def test_another_instruction_takes_the_place_of_the_first(model: CrossEncoder) -> None:
    def rendered(*messages: dict[str, str]) -> str:
        texts = [{"role": "query", "content": "Q{{ 1 }}"}, {"role": "document", "content": "D"}]
        return model.tokenizer.apply_chat_template([*messages, *texts], tokenize=False)

    assert f"<Instruct>: {INSTRUCTION}\n<Query>: Q{{{{ 1 }}}}\n<Document>: D\n" in rendered()
    assert "<Instruct>: find\n<Query>" in rendered({"role": "system", "content": "find"})
    pairs = pairs_of()
    other = answer_scores(model, pairs, prompt="the cat sky").numpy()
    np.testing.assert_allclose(other, raw(model, pairs, prompt="the cat sky", batch_size=1), atol=1e-4)
    assert abs(other - answer_scores(model, pairs).numpy()).max() > 1e-4


@pytest.mark.parametrize(("template", "begins"), [(CHAT, "<|system|>Judge"), (WITHOUT_SYSTEM, "[INST] Judge")])
def test_the_models_own_chat_is_kept(yes_no_folder: Path, template: str, begins: str) -> None:
    model = load_cross_encoder(yes_no_folder, device="cpu")
    model.tokenizer.chat_template = template
    set_prompt(model, 'say "so" \\ and é\n')
    found = model.tokenizer.apply_chat_template(
        [{"role": "query", "content": "Q"}, {"role": "document", "content": "D"}], tokenize=False
    )
    assert found.startswith(begins)
    assert '<Instruct>: say "so" \\ and é\n\n<Query>: Q\n<Document>: D' in found
    assert raw(model, pairs_of(1)).shape == (7,)


def test_a_template_that_loses_the_texts_is_refused(yes_no_folder: Path) -> None:
    model = load_cross_encoder(yes_no_folder, device="cpu")
    model.tokenizer.chat_template = "{{ messages[0]['content'] | upper }}"
    with pytest.raises(InputError, match="chat template"):
        set_prompt(model)


def test_long_documents_keep_the_end_of_the_prompt(model: CrossEncoder) -> None:
    pairs = [("the cat", "dog " * 400), ("the cat", "sky " * 400), ("the cat", "red")]
    ids = model.preprocess(pairs)["input_ids"]
    assert ids.shape[1] == model.max_seq_length == 256
    assert len({tuple(row[-2:].tolist()) for row in ids}) == 1
    np.testing.assert_allclose(answer_scores(model, pairs).numpy(), raw(model, pairs, batch_size=1), atol=1e-4)


def test_the_score_is_what_the_direction_pushes(model: CrossEncoder, tmp_path: Path) -> None:
    logits = answer_logits(model, pairs_of(1), vector=torch.ones(32)).detach().numpy()
    score_by(model, "cl")
    np.testing.assert_allclose(answer_scores(model, pairs_of(1)).numpy(), logits[:, 0], atol=1e-4)
    np.testing.assert_allclose(answer_logits(model, pairs_of(1)).detach().numpy(), logits[:, :2], atol=1e-4)
    score_by(model, "random", torch.ones(32))
    model.save_pretrained(str(tmp_path / "model"))
    saved = CrossEncoder(str(tmp_path / "model"), device="cpu")
    np.testing.assert_allclose(raw(saved, pairs_of(1), batch_size=1), logits[:, 2], atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_a_vector_becomes_the_row_of_yes_also_of_tied_embeddings(words_tokenizer, tmp_path: Path, tied: bool) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=len(words_tokenizer), max_position_embeddings=256, tie_word_embeddings=tied, pad_token_id=0, **size
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    words_tokenizer.save_pretrained(tmp_path / "base")
    model = load_cross_encoder(tmp_path / "base", device="cpu")
    set_prompt(model)
    expected = answer_logits(model, pairs_of(1), vector=torch.ones(32))[:, 2].detach().numpy()
    score_by(model, "random", torch.ones(32))
    model.save_pretrained(str(tmp_path / "model"))
    saved = CrossEncoder(str(tmp_path / "model"), device="cpu")
    np.testing.assert_allclose(raw(saved, pairs_of(1), batch_size=1), expected, atol=1e-4)


def test_a_classifier_is_read_by_length(plain_model_folder: Path) -> None:
    torch.manual_seed(0)
    model = CrossEncoder(str(plain_model_folder), num_labels=1, device="cpu")
    found = pair_logits(model, pairs_of()).numpy()
    assert found.shape == (21, 1)
    np.testing.assert_allclose(found[:, 0], raw(model, pairs_of()), atol=1e-4)
    logits = answer_logits(model, pairs_of()).detach().numpy()
    np.testing.assert_allclose(logits, np.stack([found[:, 0], np.zeros(21)], 1), atol=1e-4)


def test_models_that_cannot_answer(
    tiny_lm_folder: Path, plain_model_folder: Path, yes_no_folder: Path, tmp_path
) -> None:
    with pytest.raises(InputError, match=r"'yes' and 'no'"):
        load_cross_encoder(tiny_lm_folder)
    with pytest.raises(InputError, match="classifier"):
        set_prompt(CrossEncoder(str(plain_model_folder), num_labels=1, device="cpu"))
    # The answer melts into the last token of the prompt.
    folder = Path(shutil.copytree(yes_no_folder, tmp_path / "model"))
    model = load_cross_encoder(folder, device="cpu")
    model.tokenizer.chat_template = "{{ messages[-1]['content'] }} so"
    with pytest.raises(InputError, match="single token"):
        set_prompt(model)
