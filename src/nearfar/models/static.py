"""A static model of a text encoder: one vector for each token of its vocabulary; a text is the mean of its tokens.

    e_t = PCA( encoder([bos, t, eos]) ) * a / (a + p_t),   p_t = (1 / rank_t) / sum of these

The rank of a token is its place in the vocabulary, which most tokenizers order by frequency (Zipf's law). The weight
a / (a + p) is that of SIF: frequent tokens count little.

Source: Tulkens, van Dongen 2024, model2vec (the method and its defaults); Arora, Liang, Ma 2017, A Simple but
Tough-to-Beat Baseline for Sentence Embeddings (SIF).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.older_readers import write_for_older_readers

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

__all__ = ["UNUSED", "sif_weights", "static_of", "write_static"]

#: Tokens of a vocabulary that no text has.
UNUSED = r"\[unused\d+\]"
#: Tokens in one forward pass.
BATCH = 256


def static_of(
    teacher: SentenceTransformer,
    dims: int = 256,
    sif: float | None = 1e-4,
    unused: str = UNUSED,
    progress: Callable[[int, int], None] | None = None,
) -> SentenceTransformer:
    """A SentenceTransformer with a StaticEmbedding and unit vectors, from a text encoder.

    The token vectors are those of the encoder's own pooling and dense layers, without normalisation and without a
    prompt. Special tokens, unused ones and the token for unknown words have the zero vector. Of an encoder with mean
    pooling alone, the others are those of model2vec's `distill`, up to the signs of dimensions.

    Args:
        teacher: A text encoder with a fast tokenizer.
        dims: Dimensions kept by PCA, fewer if the encoder's vectors are narrower or the vocabulary is small.
        sif: a of SIF's weights; None: all tokens count the same.
        unused: Tokens that match this regular expression are left out.
        progress: Called with (tokens done, number of tokens).

    Raises:
        InputError: The model is no transformer with a fast tokenizer, or an option is out of range.
    """
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
    from sklearn.decomposition import PCA

    if dims < 1:
        raise InputError(f"invalid value {dims}: must be 1 or more", field="dims")
    if sif is not None and not 0 < sif < 1:
        raise InputError(f"invalid value {sif}: must be above 0 and below 1", field="sif", remedy="use e.g. 1e-4")
    tokenizer = _tokenizer(teacher)
    neutral = [x for x in (teacher.tokenizer.pad_token_id, teacher.tokenizer.unk_token_id) if x is not None]
    kept = _kept_tokens(tokenizer, re.compile(unused), neutral)
    vectors = _token_vectors(teacher, tokenizer, kept, progress)
    width = min(dims, vectors.shape[1], len(kept))
    vectors = PCA(width, svd_solver="covariance_eigh").fit_transform(vectors)
    if sif is not None:
        vectors *= sif_weights(len(kept), sif)[:, None]
    table = np.zeros((tokenizer.get_vocab_size(), width), dtype=np.float32)
    table[kept] = vectors
    table[neutral] = 0  # they have taken part, and a rank, as in model2vec, which skips them in texts
    static = StaticEmbedding(_without_frame(tokenizer), embedding_weights=table)
    return SentenceTransformer(modules=[static, Normalize()], device="cpu").eval()


def sif_weights(tokens: int, a: float) -> Float[np.ndarray, " tokens"]:
    """SIF's weights a / (a + p) of tokens in order of their frequency, with the probabilities p of Zipf's law.

    The ranks begin with 2, as in model2vec.
    """
    import numpy as np

    inverse = 1 / np.arange(2, tokens + 2)
    return a / (a + inverse / inverse.sum())


def write_static(model: SentenceTransformer, folder: Path) -> None:
    """Write a model that sentence-transformers and model2vec load: model2vec looks for `normalize` in its settings."""
    model.save_pretrained(str(folder), create_model_card=False)
    write_for_older_readers(folder)
    file = folder / "config_sentence_transformers.json"
    settings = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**settings, "normalize": True}, indent=2) + "\n", "utf-8")


def _tokenizer(teacher: SentenceTransformer) -> Tokenizer:
    """A copy of the teacher's own, without padding and truncation."""
    from sentence_transformers.base.modules.transformer import Transformer
    from tokenizers import Tokenizer

    backend = getattr(getattr(teacher, "tokenizer", None), "backend_tokenizer", None)
    if not isinstance(teacher[0], Transformer) or not isinstance(backend, Tokenizer):
        problem = "expected a text encoder that is a transformer with a fast tokenizer"
        raise InputError(problem, field="model", remedy="use another model, such as minilm")
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_padding()
    copy.no_truncation()
    return copy


def _kept_tokens(tokenizer: Tokenizer, unused: re.Pattern[str], neutral: Sequence[int]) -> list[int]:
    """The tokens that take part, in order of their numbers: all but unused and special ones that are not `neutral`."""
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    special -= set(neutral)
    kept = sorted(n for token, n in tokenizer.get_vocab().items() if n not in special and not unused.match(token))
    if len(kept) <= len(neutral):
        raise InputError("no tokens are left", field="unused", remedy="use a pattern that matches fewer tokens")
    return kept


def _token_vectors(
    teacher: SentenceTransformer, tokenizer: Tokenizer, tokens: list[int], progress: Callable[[int, int], None] | None
) -> Float[np.ndarray, "tokens d"]:
    """The teacher's vector of each token alone, between what the tokenizer puts around a text; in float64."""
    import numpy as np
    import torch
    from sentence_transformers.sentence_transformer.modules import Normalize

    before, after = _frame(tokenizer)
    modules = [module for module in teacher if not isinstance(module, Normalize)]
    found = []
    for start in range(0, len(tokens), BATCH):
        ids = torch.tensor([[*before, token, *after] for token in tokens[start : start + BATCH]], device=teacher.device)
        features: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.inference_mode():
            for module in modules:
                features = module(features)
        found.append(features["sentence_embedding"].double().cpu().numpy())
        if progress is not None:
            progress(min(start + BATCH, len(tokens)), len(tokens))
    return np.concatenate(found)


def _frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The special tokens before and after a text."""
    framed, plain = (tokenizer.encode("a", add_special_tokens=special).ids for special in (True, False))
    start = next(place for place in range(len(framed)) if framed[place : place + len(plain)] == plain)
    return framed[:start], framed[start + len(plain) :]


def _without_frame(tokenizer: Tokenizer) -> Tokenizer:
    """The same without special tokens around a text, which static models have no vectors for."""
    from tokenizers import Tokenizer

    described = json.loads(tokenizer.to_str())
    described["post_processor"] = None
    return Tokenizer.from_str(json.dumps(described))
