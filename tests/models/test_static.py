"""A static model: vectors of single tokens, PCA, weights, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.static import sif_weights, static_of, write_static

WORDS = ["cat", "dog", "grass", "green", "sky"]


def table(model: SentenceTransformer) -> np.ndarray:
    return model[0].embedding.weight.detach().numpy()


def test_a_token_has_the_teachers_vector_up_to_a_rotation(tiny_model: SentenceTransformer) -> None:
    static = static_of(tiny_model, dims=32, sif=None)
    numbers = [tiny_model.tokenizer.get_vocab()[word] for word in WORDS]
    theirs = tiny_model.encode(WORDS)  # mean pooling of [CLS] word [SEP], not normalised
    ours = table(static)[numbers]
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (ours, theirs)]
    np.testing.assert_allclose(*distances, rtol=1e-3, atol=1e-4)


def test_special_and_unused_tokens_have_no_vector(tiny_model: SentenceTransformer) -> None:
    vocabulary = tiny_model.tokenizer.get_vocab()
    static = static_of(tiny_model, dims=4, unused="cat")
    zero = {token for token, number in vocabulary.items() if not table(static)[number].any()}
    assert zero == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"}


def test_a_text_is_the_unit_mean_of_its_tokens_without_a_frame(tiny_model: SentenceTransformer) -> None:
    static = static_of(tiny_model, dims=8)
    rows = [static.tokenizer.token_to_id(word) for word in ("cat", "dog")]
    mean = table(static)[rows].mean(0)
    np.testing.assert_allclose(static.encode("cat dog"), mean / np.linalg.norm(mean), atol=1e-5)


def test_weights_of_worked_numbers() -> None:
    # Ranks 2, 3, 4: probabilities 6/13, 4/13, 3/13.
    expected = [0.5 / (0.5 + p / 13) for p in (6, 4, 3)]
    np.testing.assert_allclose(sif_weights(3, 0.5), expected)


def test_what_is_written_loads_in_sentence_transformers_and_here(
    tiny_model: SentenceTransformer, tmp_path: Path
) -> None:
    static = static_of(tiny_model, dims=8)
    write_static(static, tmp_path)
    expected = static.encode(WORDS)
    for loaded in (SentenceTransformer(str(tmp_path), device="cpu"), load(tmp_path)):
        np.testing.assert_array_equal(loaded.encode(WORDS), expected)


def test_model2vec_loads_it(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    model2vec = pytest.importorskip("model2vec")
    static = static_of(tiny_model, dims=8)
    write_static(static, tmp_path)
    texts = [*WORDS, "the cat sits on green grass"]
    np.testing.assert_allclose(
        model2vec.StaticModel.from_pretrained(str(tmp_path)).encode(texts), static.encode(texts), atol=1e-6
    )


def test_what_cannot_be_made_static_is_refused(tiny_model: SentenceTransformer) -> None:
    with pytest.raises(InputError, match="fast tokenizer"):
        static_of(static_of(tiny_model, dims=4))
    for settings in ({"dims": 0}, {"sif": 2.0}, {"unused": ".*"}):
        with pytest.raises(InputError):
            static_of(tiny_model, **settings)


def test_making_one_leaves_the_teacher_as_it_was(tiny_model: SentenceTransformer) -> None:
    before = tiny_model.encode(WORDS)
    static_of(tiny_model, dims=4)
    np.testing.assert_array_equal(tiny_model.encode(WORDS), before)
    assert torch.is_grad_enabled()
