"""Vectors of texts, and their store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from call_transcripts import TEXTS
from nearfar.dialogue import vectors
from nearfar.dialogue.vectors import vectors_of


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "WINDOW", 4)


def test_vectors_are_those_of_the_model_and_are_reused(tiny_model, tmp_path: Path, small_windows, monkeypatch):
    texts = [f"{text} {i}" for i, text in enumerate([*TEXTS, *TEXTS])]
    store = tmp_path / "store"
    found = vectors_of(tiny_model, texts, store=store)
    direct = tiny_model.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(found.astype(np.float32), direct, atol=2e-3)
    files = sorted(store.iterdir())
    assert len(files) == 3
    calls = []
    monkeypatch.setattr(
        "nearfar.models.encoding.encode", lambda model, window, **_: calls.append(window) or direct[: len(window)]
    )
    assert (vectors_of(tiny_model, texts, store=store) == found).all()
    assert calls == []
    # A corrupted window is computed again, windows of other texts are removed, and other files stay.
    files[0].write_bytes(files[0].read_bytes()[:50])
    (store / "notes.txt").write_text("mine")
    vectors_of(tiny_model, texts, store=store)
    assert len(calls) == 1
    vectors_of(tiny_model, texts[:5], store=store)
    assert len(list(store.glob("*.npy"))) == 2
    assert (store / "notes.txt").exists()


def test_vectors_of_another_model_are_not_reused(tiny_model, model_copy: Path, tmp_path: Path, small_windows):
    import torch

    from nearfar.models import load

    other = load(model_copy, device="cpu")
    with torch.no_grad():
        next(other.parameters()).mul_(1.5)
    store = tmp_path / "store"
    first = vectors_of(tiny_model, TEXTS, store=store)
    assert not np.allclose(vectors_of(other, TEXTS, store=store), first)


def test_an_interrupted_run_resumes_with_its_finished_windows(tiny_model, tmp_path: Path, small_windows, monkeypatch):
    from nearfar.models import encoding

    real, calls = encoding.encode, []

    def interrupted(model, window, **options):
        calls.append(len(window))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(model, window, **options)

    texts = [f"{text} {i}" for i, text in enumerate(TEXTS * 3)]
    monkeypatch.setattr(encoding, "encode", interrupted)
    store = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        vectors_of(tiny_model, texts, store=store)
    assert len(list(store.iterdir())) == 2
    found = vectors_of(tiny_model, texts, store=store)
    assert calls == [4, 4, 4, 4, 4, 2]  # the first two once, the third again
    np.testing.assert_allclose(found.astype(np.float32), real(tiny_model, texts), atol=2e-3)


def test_a_model_of_token_vectors_uses_one_thread_and_leaves_the_settings(monkeypatch: pytest.MonkeyPatch):
    import os

    import torch

    from nearfar.models import load

    seen = []
    monkeypatch.setattr(
        "nearfar.models.encoding.encode",
        lambda model, window, **_: seen.append(torch.get_num_threads()) or np.zeros((len(window), 4)),
    )
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        vectors_of(load("actions"), TEXTS)
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
