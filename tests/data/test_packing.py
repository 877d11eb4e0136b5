"""Documents as blocks of tokens."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.data._arrow import Gathered
from nearfar.data.packing import packed
from nearfar.errors import InputError
from nearfar.models.new_language import new_tokenizer


def test_blocks_contain_every_token_once() -> None:
    texts = [f"document {number} " + "word " * (number % 7) for number in range(300)]
    documents = Dataset.from_dict({"text": texts})
    tokenizer = new_tokenizer(documents, 300)
    expected = [token for text in texts for token in [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
    blocks = packed(documents, tokenizer, 32)
    found = [token for block in blocks for token in block["input_ids"].tolist()]
    assert {len(block["input_ids"]) for block in blocks} == {32}
    assert found == expected[: len(found)]
    assert len(expected) - len(found) < 32
    assert tokenizer.decode(expected, skip_special_tokens=True) == "".join(texts)
    # A rest shorter than a block is kept only if there is no block.
    assert packed(documents.select([3]), tokenizer, 512)["input_ids"][0].tolist()[-1] == tokenizer.eos_token_id
    with pytest.raises(InputError, match=r"^text: "):
        packed(documents.select([]), tokenizer, 32)


def test_blocks_beyond_memory_are_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = Dataset.from_dict({"text": [f"document {number}" for number in range(2_000)]})
    tokenizer = new_tokenizer(documents, 300)
    expected = packed(documents, tokenizer, 16)
    made: list[Gathered] = []

    def small() -> Gathered:
        made.append(Gathered(memory=10_000))
        return made[-1]

    monkeypatch.setattr("nearfar.data._arrow.Gathered", small)
    blocks = packed(documents, tokenizer, 16)
    assert made[0].file is not None
    assert blocks["input_ids"][:].tolist() == expected["input_ids"][:].tolist()
