"""An encoder with a pair head: each text is encoded once, and only the head scores a pair of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn

from nearfar.kinds.encoder import Encoder
from nearfar.kinds.kind import Kind, Setting
from nearfar.models.abilities import Scores
from nearfar.models.encoding import check_texts
from nearfar.models.loading import find, load
from nearfar.models.packing import embed
from nearfar.models.pairs.head import PairHead
from nearfar.models.pairs.top_layers import TopLayers, width

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["PairScorer"]

#: Number of texts that are sorted by length together.
WINDOW = 2048


class PairScorer(Kind, Scores):
    """Scores pairs of texts, or queries against candidates whose vectors are already computed.

    It has the ability `Scores`. `SentenceTransformer(folder)` loads the encoder without the head.

    Args:
        encoder: The encoder that the head was trained with.
        head: The head.

    Example:
        >>> scorer = PairScorer.load("runs/dse/model")  # doctest: +SKIP
        >>> candidates = scorer.encode(documents)  # once  # doctest: +SKIP
        >>> scorer.score_against(["a question"], candidates).squeeze(-1).topk(10)  # doctest: +SKIP
    """

    name: ClassVar[str] = "pair scorer"
    words: ClassVar[str] = "a pair scorer"

    def __init__(self, encoder: SentenceTransformer, head: PairHead) -> None:
        expected = width(encoder, head.config.layers)
        if expected != head.config.width:
            raise ValueError(f"expected {head.config.width}-dimensional vectors for the head, got {expected}")
        self.encoder, self.head = encoder.eval(), head.to(encoder.device).eval()

    @property
    def host(self) -> PairScorer:
        """This object itself: no other library has such a model."""
        return self

    @property
    def module(self) -> nn.Module:
        """The encoder and the head."""
        module: Any = nn.ModuleDict({"encoder": self.encoder, "head": self.head})
        module.device = self.encoder.device
        return module

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> PairScorer:
        """Load the scorer from a model's folder or Hub repository, such as `runs/dse/model`.

        Raises:
            InputError: The model cannot be loaded, or has no pair head.
        """
        folder = find(name)
        head = PairHead.load(folder)
        return cls(load(folder, device=device, part_of="pair scorer"), head)

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, max_length: int | None = None) -> Float[Tensor, "n d"]:
        """The vectors of texts, as the head expects them, which `nearfar.models.encoding.encode` does not return.

        Args:
            texts: At least one.
            max_length: Maximum sequence length in tokens; by default the model's own.

        Raises:
            InputError: There are no texts, or an item is not a string.
        """
        check_texts(texts)
        reader = TopLayers(self.encoder, self.head.config.layers)
        vectors = []
        for start in range(0, len(texts), WINDOW):
            # Passed only if given, as in `nearfar.models.encoding.encode`.
            cut: dict[str, Any] = {} if max_length is None else {"max_length": max_length}
            features = self.encoder.preprocess(list(texts[start : start + WINDOW]), **cut)
            vectors += embed(reader, [batch_to_device(features, self.encoder.device)])
        return torch.cat(vectors).float()

    @torch.no_grad()
    def score(self, pairs: Sequence[tuple[str, str]], *, max_length: int | None = None) -> Float[Tensor, "n outputs"]:
        """The logits of pairs of texts; each distinct text is encoded once."""
        if not pairs:
            raise ValueError("expected at least one pair, got none")
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        place = {text: row for row, text in enumerate(texts)}
        vectors = self.encode(texts, max_length=max_length)
        first, second = zip(*pairs, strict=True)
        return self.head(vectors[[place[text] for text in first]], vectors[[place[text] for text in second]])

    def score_against(
        self, queries: Sequence[str], candidates: Float[Tensor, "c d"], *, max_length: int | None = None
    ) -> Float[Tensor, "q c outputs"]:
        """The logits of every query with every candidate; the candidates are vectors from `encode`."""
        return self.head.score_matrix(self.encode(queries, max_length=max_length), candidates)

    def score_pairs(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """One number per pair: the score or logit; with several classes, the expected class sum_c c p(c)."""
        import numpy as np

        check_texts(first, field="first")
        training = self.head.training  # restored below: evaluation can happen during training
        self.module.eval()
        logits = self.score(list(zip(first, second, strict=True)))
        self.head.train(training)
        if self.head.config.kind == "classes":
            classes = torch.arange(logits.shape[1], dtype=logits.dtype, device=logits.device)
            return np.asarray((logits.softmax(1) @ classes).cpu(), dtype=np.float32)
        return np.asarray(logits[:, 0].cpu(), dtype=np.float32)

    def fingerprint(self, name: object) -> str:
        """A hash of encoder and head."""
        import hashlib

        from nearfar.models.fingerprint import fingerprint

        digest = hashlib.sha256(fingerprint(self.encoder).encode())
        for key, value in sorted(self.head.state_dict().items()):
            digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def write(self, folder: Path) -> None:
        """The encoder in the format that `SentenceTransformer(folder)` loads, and the head next to it."""
        self.encoder.save_pretrained(str(folder))
        self.head.save(folder)

    def configure(self, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).configure(options)

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).check_stage(stage, options)

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The trainer of an encoder, with a loss that contains the head."""
        self.head.train()  # the trainer does this only for the encoder
        return Encoder(self.encoder).trainer(stage, options, setting)
