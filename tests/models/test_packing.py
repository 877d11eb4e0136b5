"""Embedding in chunks: what a chunk holds, and the attention that it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar.models.packing import CHUNK_TOKENS, _chunks, attention_of_any_shape, chunk_tokens, chunks_of, embed


def features(lengths: list[int], left: bool = False) -> dict[str, torch.Tensor]:
    width = max(lengths) + 1  # a column of padding that no row needs
    mask = torch.zeros(len(lengths), width, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, width - length :] = 1 if left else 0
        mask[row, :length] = mask[row, :length] if left else 1
    return {"input_ids": torch.arange(mask.numel()).view_as(mask), "attention_mask": mask, "prompt_length": 3}  # type: ignore[dict-item]


def test_chunks_hold_as_many_rows_as_their_tokens_allow_and_no_shared_padding() -> None:
    of = features([9, 5, 4, 3, 3, 2])
    found = list(_chunks(of, 9))
    assert [tuple(chunk["input_ids"].shape) for chunk in found] == [(1, 9), (2, 5), (3, 3)]
    rows = torch.cat([torch.nn.functional.pad(c["input_ids"], (0, 10 - c["input_ids"].shape[1])) for c in found])
    kept = of["attention_mask"].bool()
    assert torch.equal(rows[kept], of["input_ids"][kept])
    assert all(chunk["prompt_length"] == 3 for chunk in found)


def test_a_row_longer_than_a_chunk_is_a_chunk() -> None:
    assert [len(chunk["input_ids"]) for chunk in _chunks(features([9, 9, 1]), 4)] == [1, 1, 1]


def test_padding_on_the_left_stays() -> None:
    of = features([4, 2], left=True)
    (chunk,) = _chunks(of, 100)
    assert torch.equal(chunk["input_ids"], of["input_ids"])


def test_rows_without_a_token_keep_their_width() -> None:
    of = features([2, 2])
    of["attention_mask"].zero_()
    (chunk,) = _chunks(of, 100)
    assert chunk["input_ids"].shape == (2, 3)


def test_the_default_size_of_a_chunk_can_be_asked_for() -> None:
    cpu = torch.device("cpu")
    with chunks_of(5):
        with chunks_of(0):
            assert chunk_tokens(cpu) == CHUNK_TOKENS["cpu"]
        assert chunk_tokens(cpu) == chunk_tokens(torch.device("cuda")) == chunk_tokens(cpu, {"cuda": 9}) == 5
    assert (chunk_tokens(cpu, {"cpu": 7, "cuda": 9}), chunk_tokens(torch.device("mps"), {"cuda": 9})) == (7, 9)


@pytest.mark.parametrize("tokens", [4, 12, 1000])
def test_embed_equals_one_forward_pass_of_each_column(tiny_model_folder: Path, tokens: int) -> None:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu").eval()
    columns = [["the cat sits", "a dog", "the sea is blue and the cat sits"], ["a", "the blue sea", "dog"]]
    with torch.no_grad():
        found = embed(model, [model.preprocess(column) for column in columns], tokens)
        for column, vectors in zip(columns, found, strict=True):
            expected = model(model.preprocess(column))["sentence_embedding"]
            torch.testing.assert_close(vectors, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_attention_on_a_gpu_makes_no_plan_for_each_shape() -> None:
    with attention_of_any_shape({"input_ids": torch.zeros(1, 1, device="cuda")}):
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.flash_sdp_enabled()
