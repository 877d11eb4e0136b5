"""Pieces of documents: beginnings first, then the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.inspection.language.options import LanguageInspectOptions
from nearfar.inspection.language.pieces import draw_pieces
from nearfar.kinds.causal import CausalLM


@pytest.fixture(scope="module")
def model(tiny_lm_folder: Path) -> CausalLM:
    return CausalLM.load(tiny_lm_folder, device="cpu")  # a token is a byte


def test_beginnings_come_first_and_pieces_join_to_the_text(model: CausalLM) -> None:
    texts = ["abcdefghij" * 5, "0123456789" * 2]
    options = LanguageInspectOptions(block=16, tokens=1_000)
    found = draw_pieces(Dataset.from_dict({"text": texts}), model, options)
    assert sorted(piece.document for piece in found[:2]) == [0, 1]
    assert "".join(piece.text for piece in found if piece.document == 0) == texts[0][:48]  # two letters are too few
    assert [len(piece.tokens) for piece in found if piece.document == 1] == [16]
    assert found[0].ends == list(range(1, 17))


def test_no_more_tokens_than_asked_for_but_one_piece(model: CausalLM) -> None:
    documents = Dataset.from_dict({"text": ["abcdefghij" * 50] * 20})
    found = draw_pieces(documents, model, LanguageInspectOptions(block=32, tokens=64))
    assert len(found) == 2
    some = draw_pieces(documents, model, LanguageInspectOptions(block=32, tokens=1_000, rows=3))
    assert len({piece.document for piece in some}) == 3


def test_no_more_tokens_than_positions(model: CausalLM) -> None:
    tokens, _ = model.tokens("ab" * 2_000, 5_000)
    assert len(tokens) == 1_024


@pytest.mark.parametrize("options", [{"rows": 2}, {"tokens": 1}, {"contexts": 5_000}, {"offsets": -1}])
def test_options_out_of_range(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        LanguageInspectOptions(**options)  # pyright: ignore[reportArgumentType]
