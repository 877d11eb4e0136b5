"""An encoder with a pair head: each text is encoded once, and only the head scores a pair of vectors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn

from nearfar.kinds.encoder import Encoder
from nearfar.kinds.kind import Kind, Setting
from nearfar.models.abilities import Scores
from nearfar.models.encoding import check_texts
from nearfar.models.label_counts import LabelCounts
from nearfar.models.loading import check_max_length, find, load
from nearfar.models.packing import embed
from nearfar.models.pairs.head import PairHead
from nearfar.models.pairs.top_layers import reader, width
from nearfar.models.towers.texts import has_text_towers
from nearfar.models.word_encoder import knows

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["PairScorer"]

logger = logging.getLogger(__name__)

Side = Literal["query", "document"]
#: Number of texts that are sorted by length together.
WINDOW = 2048


class PairScorer(Kind, Scores):
    """Scores pairs of texts, or queries against candidates whose vectors are already computed.

    It has the ability `Scores`. `SentenceTransformer(folder)` loads the encoder without the head.

    Args:
        encoder: The encoder that the head was trained with.
        head: The head.
        label_counts: How often labels were in training, for a head that matches texts and labels.

    Example:
        >>> scorer = PairScorer.load("runs/dse/model")  # doctest: +SKIP
        >>> candidates = scorer.encode(documents)  # once  # doctest: +SKIP
        >>> scorer.score_against(["a question"], candidates).squeeze(-1).topk(10)  # doctest: +SKIP
    """

    name: ClassVar[str] = "pair scorer"
    words: ClassVar[str] = "a pair scorer"
    library: ClassVar[str] = "sentence-transformers"
    pipeline: ClassVar[str | None] = "sentence-similarity"
    usage: ClassVar[str] = (
        "# Its encoder alone; nearfar, below, also loads the head that scores pairs.\n"
        "from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(MODEL)\n"
        'vectors = model.encode(["a text", "another text"])'
    )
    pooled: ClassVar[bool] = True
    chunked: ClassVar[bool] = True

    def __init__(self, encoder: SentenceTransformer, head: PairHead, label_counts: LabelCounts | None = None) -> None:
        expected = width(encoder, head.config.layers)
        if expected != head.config.width:
            raise ValueError(f"expected {head.config.width}-dimensional vectors for the head, got {expected}")
        self.encoder, self.head = encoder.eval(), head.to(encoder.device).eval()
        self.label_counts = label_counts

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
        return cls(load(folder, device=device, part_of="pair scorer"), head, LabelCounts.load(folder))

    @torch.no_grad()
    def encode(
        self, texts: Sequence[str], *, max_length: int | None = None, kind: Side | None = None
    ) -> Float[Tensor, "n d"]:
        """The vectors of texts, as the head expects them, which `nearfar.models.encoding.encode` does not return.

        Args:
            texts: At least one.
            max_length: Maximum sequence length in tokens; by default the model's own.
            kind: `query` for first texts of pairs, `document` for second ones: an encoder may have a tower for each.

        Raises:
            InputError: There are no texts, an item is not a string, or the length is invalid.
        """
        check_texts(texts)
        if max_length is not None:
            check_max_length(self.encoder, max_length)
        read = reader(self.encoder, self.head.config.layers)
        # Passed only if given, as in `nearfar.models.encoding.encode`.
        how: dict[str, Any] = {} if max_length is None else {"max_length": max_length}
        if has_text_towers(self.encoder):
            how["task"] = kind or "query"
        vectors = []
        for start in range(0, len(texts), WINDOW):
            features = self.encoder.preprocess(list(texts[start : start + WINDOW]), **how)
            if "task" in how:
                features["task"] = how["task"]
            vectors += embed(read, [batch_to_device(features, self.encoder.device)])
        found = torch.cat(vectors).float()
        unknown = torch.tensor([not knows(self.encoder, text) for text in texts], device=found.device)
        if unknown.any():
            # The same line for each window of a large file, so that a command prints it once.
            logger.warning("texts or labels without any word that the model knows have zero vectors")
            found[unknown] = 0.0
        return found

    @torch.no_grad()
    def score(self, pairs: Sequence[tuple[str, str]], *, max_length: int | None = None) -> Float[Tensor, "n outputs"]:
        """The logits of pairs of texts; each distinct text is encoded once."""
        if not pairs:
            raise ValueError("expected at least one pair, got none")
        first, second = zip(*pairs, strict=True)
        if has_text_towers(self.encoder):
            sides: Any = (self._once(first, max_length, "query"), self._once(second, max_length, "document"))
            return self.head(*sides)
        both = self._once([*first, *second], max_length, None)
        return self.head(both[: len(first)], both[len(first) :])

    def _once(self, texts: Sequence[str], max_length: int | None, kind: Side | None) -> Float[Tensor, "n d"]:
        """The vectors of texts, each distinct one encoded once."""
        distinct = list(dict.fromkeys(texts))
        place = {text: row for row, text in enumerate(distinct)}
        return self.encode(distinct, max_length=max_length, kind=kind)[[place[text] for text in texts]]

    def score_against(
        self, queries: Sequence[str], candidates: Float[Tensor, "c d"], *, max_length: int | None = None
    ) -> Float[Tensor, "q c outputs"]:
        """The logits of every query with every candidate; the candidates are vectors from `encode(kind="document")`."""
        return self.head.score_matrix(self.encode(queries, max_length=max_length, kind="query"), candidates)

    def score_matrix(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, "n m"]:
        """See `Scores`: every text is encoded once."""
        return self.scorer_against(second, batch_size=batch_size)(first)

    def scorer_against(
        self, second: Sequence[str], *, batch_size: int = 64
    ) -> Callable[[Sequence[str]], Float[np.ndarray, "n m"]]:
        """See `Scores`: the second texts are encoded once for all calls."""
        import numpy as np

        with self._evaluating():
            candidates = self.encode(second, kind="document")

        def scores(first: Sequence[str]) -> Float[np.ndarray, "n m"]:
            with self._evaluating():
                logits = self.score_against(first, candidates)
            return np.asarray(self._number(logits).cpu(), dtype=np.float32)

        return scores

    def probabilities(self, scores: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"] | None:
        """See `Scores`: of a binary head."""
        from scipy.special import expit

        return expit(scores) if self.head.config.kind == "binary" else None

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Evaluation mode; during training, the head's mode is restored afterwards."""
        training = self.head.training
        self.module.eval()
        yield
        self.head.train(training)

    def _number(self, logits: Float[Tensor, "*n outputs"]) -> Float[Tensor, "*n"]:
        """The score or logit; of several classes, the expected one, sum_c c p(c)."""
        if self.head.config.kind == "classes":
            classes = torch.arange(logits.shape[-1], dtype=logits.dtype, device=logits.device)
            return logits.softmax(-1) @ classes
        return logits[..., 0]

    def score_pairs(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """One number per pair: the score or logit; with several classes, the expected class sum_c c p(c)."""
        import numpy as np

        check_texts(first, field="first")
        with self._evaluating():
            logits = self.score(list(zip(first, second, strict=True)))
        return np.asarray(self._number(logits).cpu(), dtype=np.float32)

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
        self.encoder.save_pretrained(str(folder), create_model_card=False)
        self.head.save(folder)
        if self.label_counts is not None:
            self.label_counts.save(folder)

    def configure(self, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).configure(options)

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).check_stage(stage, options)

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The trainer of an encoder, with a loss that contains the head; pairs are scored without prompts."""
        self.head.train()  # the trainer does this only for the encoder
        return Encoder(self.encoder).trainer(stage, options, setting, prompted=False)
