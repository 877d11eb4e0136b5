"""Procrustes' rotation, and a tower that ends in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.models.rotation import fixed_rotation, procrustes


def rotation(d: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(d, d, generator=g, dtype=torch.float64))[0]


def test_it_finds_the_rotation_that_was_made() -> None:
    a = torch.randn(40, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    w = rotation(6)
    found = procrustes(a, a @ w)
    torch.testing.assert_close(found, w)
    torch.testing.assert_close(a @ w @ found.T, a)


def test_no_rotation_brings_the_sides_closer() -> None:
    a, b = torch.randn(2, 30, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    w = procrustes(a, b)
    torch.testing.assert_close(w @ w.T, torch.eye(5, dtype=torch.float64))
    best = float((a - b @ w.T).square().sum())
    assert best < float((a - b).square().sum())
    for seed in range(20):
        step = torch.linalg.matrix_exp(0.05 * (rotation(5, seed) - rotation(5, seed).T))
        assert float((a - b @ (w @ step).T).square().sum()) > best


def test_sides_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(4, 2\)"):
        procrustes(torch.ones(3, 2), torch.ones(4, 2))


def test_it_turns_what_a_model_says_never_learns_and_is_saved(tiny_model_folder: Path, tmp_path: Path) -> None:
    plain = nearfar.load(tiny_model_folder, device="cpu")
    w = rotation(32).float()
    model = SentenceTransformer(modules=[*plain.children(), fixed_rotation(w)], device="cpu")
    before = torch.from_numpy(plain.encode(["the cat sits"]))
    torch.testing.assert_close(torch.from_numpy(model.encode(["the cat sits"])), before @ w.T)
    assert not any(weight.requires_grad for weight in model[-1].parameters())
    model.save_pretrained(str(tmp_path / "model"))
    again = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    torch.testing.assert_close(torch.from_numpy(again.encode(["the cat sits"])), before @ w.T)
