"""Modules around `contrast` that sentence-transformers' own trainer accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.distributed as dist
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses import CachedLossMixin
from torch import Tensor, nn

from nearfar import far as far_
from nearfar import near as near_
from nearfar.contrast import contrast
from nearfar.engines import Engine, EngineName
from nearfar.far import Far
from nearfar.models.guide import Guide
from nearfar.models.packing import Packed, chunk_tokens, embed
from nearfar.near import Near

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Batch", "ContrastLoss"]

#: Rows of a chunk where the input is not plain text and cannot be sorted by length.
UNSORTED_ROWS = 32


@dataclass(frozen=True)
class Batch:
    """What a `near` or `far` that depends on the batch may look at. n anchors, m candidates.

    Args:
        anchors: Vectors of the model in training, without gradient.
        candidates: Likewise: the positives, then each column of negatives; for labelled texts the anchors.
        labels: The label column, or None.
        guide_anchors, guide_candidates: Vectors of the guide, or None.
    """

    anchors: Float[Tensor, "n d"]
    candidates: Float[Tensor, "m d"]
    labels: Int[Tensor, " n"] | None = None
    guide_anchors: Float[Tensor, "n g"] | None = None
    guide_candidates: Float[Tensor, "m g"] | None = None


class ContrastLoss(nn.Module):
    """`nearfar.contrast` on the columns of a data set.

    | columns                                   | near, if not given       | far, if not given    |
    | ----------------------------------------- | ------------------------ | -------------------- |
    | anchor, positive                          | `near.paired()`          |                      |
    | anchor, positive, negative, negative_2 .. | `near.paired()`          |                      |
    | text, label                               | `near.same_label(label)` | `far.except_self()`  |

    With the defaults and pairs this is `MultipleNegativesRankingLoss`, with labels SupCon, with a `guide` GISTEmbed's
    masking of anchor-candidate pairs.

    Args:
        model: The model in training.
        near: Builder of P, or a function from a `Batch` to one.
        far: Builder of F, or a function from a `Batch` to one.
        temperature: tau.
        learn_temperature: Train tau, starting from `temperature`; it stays positive.
        similarity, symmetric, engine: See `contrast`.
        guide: A frozen model whose similarities show false negatives; its default `far` is
            `far.except_likely_positives(guide_anchors, guide_candidates)`.
        cached: Embed in small chunks and keep no activations (GradCache, Gao et al. 2021): batch size without memory,
            at the cost of a second forward pass. With `mini_batch_num_tokens` the chunks are as large as you say.
        mini_batch_num_tokens: Tokens in one forward pass; None chooses by device. Chunks are sorted by length over
            all columns, so that hardly any padding is left.
        gather_across_devices: Contrast against the candidates of all processes.

    Example:
        >>> loss = ContrastLoss(model, temperature=0.05, cached=True)
        >>> SentenceTransformerTrainer(model, args, train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: SentenceTransformer,
        near: Near | Callable[[Batch], Near] | None = None,
        far: Far | Callable[[Batch], Far | None] | None = None,
        temperature: float = 0.05,
        learn_temperature: bool = False,
        similarity: Literal["cosine", "dot"] = "cosine",
        symmetric: bool = False,
        engine: EngineName | Engine = "auto",
        guide: SentenceTransformer | None = None,
        cached: bool = False,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be > 0, got {temperature}")
        if mini_batch_num_tokens is not None and mini_batch_num_tokens < 1:
            raise ValueError(f"mini_batch_num_tokens must be at least 1, got {mini_batch_num_tokens}")
        self.model = model
        self.near, self.far = near, far
        self.similarity: Literal["cosine", "dot"] = similarity
        self.symmetric = symmetric
        self.engine: EngineName | Engine = engine
        self.guide = None if guide is None else Guide(guide, model)
        self.uses_gradient_cache = cached
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.gather_across_devices = gather_across_devices
        log_temperature = torch.tensor(float(temperature)).log()
        self.log_temperature = nn.Parameter(log_temperature) if learn_temperature else None
        self._temperature = temperature

    @property
    def temperature(self) -> float | Tensor:
        """Tau: a number, or a 0-d tensor that learns."""
        return self._temperature if self.log_temperature is None else self.log_temperature.exp()

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as sentence-transformers' trainer hands it over."""
        columns = list(sentence_features)
        guided = None if self.guide is None else self.guide(columns)
        if self.uses_gradient_cache:
            return _CachedBatch(self, Packed.of(columns), labels, guided).loss_of_batch()
        vectors = embed(self.model, columns, self.mini_batch_num_tokens)
        return self.loss_of_vectors(vectors, labels, guided, self.temperature)

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """From one matrix of vectors (batch, d) for each column, and the guide's, to the loss."""
        anchors, candidates = _sides(columns)
        guide_anchors, guide_candidates = (None, None) if guided is None else _sides(guided)
        batch = Batch(anchors.detach(), candidates.detach(), labels, guide_anchors, guide_candidates)
        near, far = self._near(batch, len(columns)), self._far(batch, len(columns))
        return self.one_way(anchors, candidates, near, far, temperature)

    def one_way(
        self,
        anchors: Tensor,
        candidates: Tensor,
        near: Near,
        far: Far | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """`contrast` on this process's share of a batch, scaled so that the mean over processes is the whole."""
        group, size = self._processes()
        if isinstance(temperature, Tensor) and size > 1:
            # `contrast` gives each process the whole gradient of tau, which `size` below must not multiply.
            temperature = temperature / size + (temperature * (1 - 1 / size)).detach()
        loss = contrast(
            anchors,
            candidates,
            near,
            far,
            temperature=temperature,
            similarity=self.similarity,
            symmetric=self.symmetric,
            engine=self.engine,
            group=group,
        )
        return self._over(loss, size)

    def _near(self, batch: Batch, columns: int) -> Near:
        if self.near is not None:
            return self.near if isinstance(self.near, Near) else self.near(batch)
        if columns > 1:
            return near_.paired()
        if batch.labels is None:
            raise ValueError(
                "ContrastLoss got one column of texts and no label; give it pairs (anchor, positive), "
                "or texts with a 'label' column of integers"
            )
        return near_.same_label(batch.labels)

    def _far(self, batch: Batch, columns: int) -> Far | None:
        if self.far is not None:
            return self.far if isinstance(self.far, Far) else self.far(batch)
        likely = None
        if batch.guide_anchors is not None and batch.guide_candidates is not None:
            likely = far_.except_likely_positives(batch.guide_anchors, batch.guide_candidates)
        if columns > 1:
            return likely
        return far_.except_self() if likely is None else far_.except_self() + likely

    @staticmethod
    def _over(loss: Tensor, size: int) -> Tensor:
        # Distributed training takes the mean of the processes' gradients, but each of them holds a part of a sum.
        return loss if size == 1 else loss * size - (loss * (size - 1)).detach()

    def _processes(self) -> tuple[Any, int]:
        if not (self.gather_across_devices and dist.is_available() and dist.is_initialized()):
            return None, 1
        return dist.group.WORLD, dist.get_world_size()

    def get_config_dict(self) -> dict[str, Any]:
        """What the model card says of this loss."""
        return {
            "temperature": float(torch.as_tensor(self.temperature).detach()),
            "similarity": self.similarity,
            "symmetric": self.symmetric,
            "cached": self.uses_gradient_cache,
            "gather_across_devices": self.gather_across_devices,
        }


class _CachedBatch(CachedLossMixin):
    """One batch on its way through sentence-transformers' gradient cache, in the order in which it was packed."""

    def __init__(self, loss: ContrastLoss, packed: Packed, labels: Tensor | None, guided: Any) -> None:
        self.loss, self.packed, self.labels, self.guided = loss, packed, labels, guided
        self.mini_batch_size = UNSORTED_ROWS
        if all(order is not None for order in packed.order):
            self.mini_batch_num_tokens = loss.mini_batch_num_tokens or chunk_tokens(packed.features[0])
        self.temperature = loss.temperature
        if isinstance(self.temperature, Tensor) and torch.is_grad_enabled():
            self.temperature = self.temperature.detach().requires_grad_()

    @property
    def model(self) -> Any:  # type: ignore[override]
        return self.loss.model

    def loss_of_batch(self) -> Tensor:
        loss = self.forward_cached(self.packed.features)
        live = self.loss.temperature
        if isinstance(live, Tensor) and isinstance(self.temperature, Tensor) and self.temperature.grad is not None:
            # The cache holds gradients of vectors; that of tau is attached here, so that it too waits for the factor
            # (gradient accumulation, loss scaling) with which the trainer calls backward.
            loss = loss + self.temperature.grad * (live - live.detach())
        return loss

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        columns = self.packed.unpack([torch.cat(chunks) for chunks in reps])
        loss = self.loss.loss_of_vectors(columns, self.labels, self.guided, self.temperature)
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss


def _sides(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    anchors = columns[0]
    return anchors, anchors if len(columns) == 1 else torch.cat(list(columns[1:]))
