"""`contrast` as a loss for the trainer of sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.distributed as dist
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses import CachedLossMixin
from torch import Tensor, nn

from nearfar import far as far_
from nearfar import near as near_
from nearfar.blocks import Far, Near
from nearfar.contrast import contrast
from nearfar.engines import Engine, EngineName
from nearfar.losses._own import averaged_over_processes
from nearfar.models.guide import Guide
from nearfar.models.packing import Packed, attention_of_any_shape, chunk_tokens, embed

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Batch", "ContrastLoss"]

#: Rows of a chunk where the input is not plain text and is not sorted by length.
UNSORTED_ROWS = 32


@dataclass(frozen=True)
class Batch:
    """The argument of a `near`, `far` or `extra` that depends on the batch. n anchors, m candidates.

    Args:
        anchors: Vectors of the model in training; without gradient for `near` and `far`, with it for `extra`.
        candidates: Likewise: the positives, then each column of negatives, then the extra candidates (for `extra`, the
            candidates so far); for labelled texts the anchors take the place of positives and negatives.
        labels: The label column, or None.
        guide_anchors, guide_candidates: Vectors of the guide, or None; it has none for extra candidates.
        extra: Number of extra candidates at the end of `candidates`.
    """

    anchors: Float[Tensor, "n d"]
    candidates: Float[Tensor, "m d"]
    labels: Int[Tensor, " n"] | None = None
    guide_anchors: Float[Tensor, "n g"] | None = None
    guide_candidates: Float[Tensor, "m_guide g"] | None = None
    extra: int = 0


class ContrastLoss(nn.Module):
    """`nearfar.contrast` on the columns of a dataset.

    | columns                                   | near, if not given       | far, if not given    |
    | ----------------------------------------- | ------------------------ | -------------------- |
    | anchor, positive                          | `near.paired()`          |                      |
    | anchor, positive, negative, negative_2 .. | `near.paired()`          |                      |
    | text, label                               | `near.same_label(label)` | `far.except_self()`  |

    With the defaults and pairs this is `MultipleNegativesRankingLoss`, with labels SupCon, and with a `guide` the
    anchor-candidate masking of GISTEmbed.

    Args:
        model: The model in training.
        near: Builder of P, or a function from a `Batch` to one.
        far: Builder of F, or a function from a `Batch` to one.
        temperature: tau.
        learn_temperature: Train tau, starting from `temperature`; it stays positive.
        similarity, symmetric, engine: See `contrast`.
        guide: A frozen model whose similarities find false negatives; with it the default `far` is
            `far.except_likely_positives(guide_anchors, guide_candidates)`.
        cached: Gradient cache (GradCache, Gao et al. 2021): embeds in small chunks and keeps no activations, so the
            batch size is not limited by memory, at the cost of a second forward pass.
        mini_batch_num_tokens: Maximum number of tokens in one forward pass; None chooses by device. Chunks are sorted
            by length over all columns, so they contain little padding.
        gather_across_devices: Contrast against the candidates of all processes.
        extra: Function from a `Batch` to extra candidates (k, d) that belong to no row, such as noise vectors, a queue
            of earlier vectors or mixtures; called once for each loss that is computed. They come after the other
            candidates, as negatives of every anchor: the default `near` gives them no weight, a guide does not judge
            them, and with `gather_across_devices` they are negatives in all processes. Gradients flow through them:
            detach what is to be constant. The weights of an `nn.Module` are trained with the model, with `cached` too.

    Raises:
        ValueError: an invalid argument.

    Example:
        >>> loss = ContrastLoss(model, temperature=0.05, cached=True)
        >>> SentenceTransformerTrainer(model, args, train_dataset, loss=loss).train()

        With 64 noise vectors (Zhou et al. 2022, Debiased Contrastive Learning, draws its negatives so before it refines
        them):

        >>> loss = ContrastLoss(model, extra=lambda batch: torch.randn_like(batch.anchors[:1].expand(64, -1)))
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
        extra: Callable[[Batch], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"invalid temperature: must be > 0, got {temperature}")
        if mini_batch_num_tokens is not None and mini_batch_num_tokens < 1:
            raise ValueError(f"invalid mini_batch_num_tokens: must be >= 1, got {mini_batch_num_tokens}")
        self.model = model
        self.near, self.far = near, far
        self.extra = averaged_over_processes(extra) if isinstance(extra, nn.Module) else extra
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
        """Tau: a number, or a 0-d tensor that is trained."""
        return self._temperature if self.log_temperature is None else self.log_temperature.exp()

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
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
        """The loss from one matrix of vectors (batch, d) for each column, and those of the guide."""
        anchors, candidates = _sides(columns)
        guide_anchors, guide_candidates = (None, None) if guided is None else _sides(guided)
        batch = Batch(anchors, candidates, labels, guide_anchors, guide_candidates)
        if self.extra is not None:
            extra = self._extra(batch)
            candidates = torch.cat([candidates, extra])
            batch = replace(batch, extra=len(extra))
        batch = replace(batch, anchors=anchors.detach(), candidates=candidates.detach())
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
        """`contrast` on the part of a batch in this process, scaled so that the mean over processes is the whole."""
        group, size = self._processes()
        if isinstance(temperature, Tensor) and size > 1:
            # `contrast` gives every process the whole gradient of tau, which `size` below must not multiply.
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

    def _extra(self, batch: Batch) -> Tensor:
        assert self.extra is not None
        extra = self.extra(batch)
        if not isinstance(extra, Tensor) or extra.ndim != 2 or extra.shape[1] != batch.anchors.shape[1]:
            found = tuple(extra.shape) if isinstance(extra, Tensor) else type(extra).__name__
            raise ValueError(f"extra: expected vectors (k, {batch.anchors.shape[1]}), got {found}")
        return extra.to(batch.anchors)

    def _near(self, batch: Batch, columns: int) -> Near:
        if self.near is not None:
            return self.near if isinstance(self.near, Near) else self.near(batch)
        if columns > 1:
            return near_.paired()
        if batch.labels is None:
            raise ValueError(
                "ContrastLoss got one column of texts and no label; pass pairs (anchor, positive), "
                "or texts with a 'label' column of integers"
            )
        return near_.same_label(batch.labels)

    def _far(self, batch: Batch, columns: int) -> Far | None:
        if self.far is not None:
            return self.far if isinstance(self.far, Far) else self.far(batch)
        likely = None
        if batch.guide_anchors is not None and batch.guide_candidates is not None:
            likely = far_.except_likely_positives(batch.guide_anchors, batch.guide_candidates, unjudged=batch.extra)
        if columns > 1:
            return likely
        return far_.except_self() if likely is None else far_.except_self() + likely

    @staticmethod
    def _over(loss: Tensor, size: int) -> Tensor:
        # Distributed training averages the gradients of the processes, but each of them is a part of a sum.
        return loss if size == 1 else loss * size - (loss * (size - 1)).detach()

    def _processes(self) -> tuple[Any, int]:
        if not (self.gather_across_devices and dist.is_available() and dist.is_initialized()):
            return None, 1
        return dist.group.WORLD, dist.get_world_size()

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {
            "temperature": float(torch.as_tensor(self.temperature).detach()),
            "similarity": self.similarity,
            "symmetric": self.symmetric,
            "cached": self.uses_gradient_cache,
            "gather_across_devices": self.gather_across_devices,
        }


class _CachedBatch(CachedLossMixin):
    """One batch in the gradient cache of sentence-transformers, in the order in which it was packed.

    The cache is filled in the forward pass, before the trainer calls backward with its factor (gradient accumulation,
    loss scaling). The gradients of the loss's own weights, tau and those behind `extra`, wait for it too: they are
    computed with the cache, and attached to the loss as a linear function of the weights.
    """

    def __init__(self, loss: ContrastLoss, packed: Packed, labels: Tensor | None, guided: Any) -> None:
        self.loss, self.packed, self.labels, self.guided = loss, packed, labels, guided
        self.mini_batch_size = UNSORTED_ROWS
        if all(order is not None for order in packed.order):
            self.mini_batch_num_tokens = loss.mini_batch_num_tokens or chunk_tokens(
                packed.features[0]["input_ids"].device
            )
        self.gradients: list[tuple[Tensor, Tensor]] = []

    @property
    def model(self) -> Any:  # type: ignore[override]
        return self.loss.model

    def embed_minibatch(self, *args: Any, **kwargs: Any) -> Any:
        """See `CachedLossMixin`."""
        with attention_of_any_shape(self.packed.features[0]):
            return super().embed_minibatch(*args, **kwargs)

    def loss_of_batch(self) -> Tensor:
        loss = self.forward_cached(self.packed.features)
        for weight, gradient in self.gradients:
            loss = loss + (gradient * (weight - weight.detach())).sum()
        return loss

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        columns = self.packed.unpack([torch.cat(chunks) for chunks in reps])
        loss = self.loss.loss_of_vectors(columns, self.labels, self.guided, self.loss.temperature)
        if not with_backward:
            return loss
        vectors = [chunk for chunks in reps for chunk in chunks]
        cached = {id(x) for x in vectors}
        own = [x for x in _leaves(loss) if id(x) not in cached]
        found = torch.autograd.grad(loss, [*vectors, *own], allow_unused=True)
        for chunk, gradient in zip(vectors, found, strict=False):
            chunk.grad = gradient
        self.gradients = [(x, g) for x, g in zip(own, found[len(vectors) :], strict=True) if g is not None]
        return loss.detach()


def _leaves(loss: Tensor) -> list[Tensor]:
    """The tensors without a history that gradients of the loss reach, in the order of a walk over its graph."""
    leaves, seen, open_ = [], set(), [loss.grad_fn]
    while open_:
        node = open_.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (leaf := getattr(node, "variable", None)) is not None:
            leaves.append(leaf)
        open_ += [function for function, _ in node.next_functions]
    return leaves


def _sides(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    anchors = columns[0]
    return anchors, anchors if len(columns) == 1 else torch.cat(list(columns[1:]))
