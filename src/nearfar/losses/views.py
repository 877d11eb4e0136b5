"""CLIP's loss for weak and strong views of pairs, and terms that are added to it.

    weak    z_i, z_t     one view of each side, with the linear heads
    strong  h_i^k, h_t^l K views of each side, with the deep heads

    loss = (L(z_i, z_t) + K mean_kl L_smooth(h_i^k, h_t^l)) / (1 + K)

L is the symmetric contrastive loss with the pairs of a batch, L_smooth the same with label smoothing, each with its own
temperature. Weak and strong views are never compared.

Source: Fini et al. 2023, Improved baselines for vision-language pre-training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from nearfar import near
from nearfar.blocks import Shard
from nearfar.contrast import contrast
from nearfar.losses._own import averaged_over_processes
from nearfar.models.dropout import dropout
from nearfar.models.packing import Features, by_length
from nearfar.models.routes import router_of
from nearfar.models.towers.heads import TOWER, TwoHeads

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Sides", "TowerVectors", "ViewedBatch", "ViewsLoss", "matching_views", "views_loss"]

#: Something of each view, weak then strong, of the files and of the texts.
Sides = tuple[Sequence[Any], Sequence[Any]]
#: Range of a learned temperature: CLIP's logit scale is between 1 and 100.
LEAST, MOST = 0.01, 1.0


@dataclass(frozen=True)
class ViewedBatch:
    """What a term that is added to the loss may use; vectors are those of all processes.

    Args:
        columns: The inputs of the towers, of this process.
        towers: The vectors of the towers, before any head, (b, width).
        strong: The vectors of the deep heads, (b, dims), of the strong views alone.
        temperature: That of the strong views.
    """

    columns: Sides
    towers: Sides
    strong: Sides
    temperature: Tensor


def views_loss(
    weak: Sequence[Float[Tensor, "b d"]],
    strong: Sides,
    temperature: float | Tensor,
    strong_temperature: float | Tensor,
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """The loss of this module from the vectors of heads.

    Args:
        weak: z_i and z_t.
        strong: K matrices h_i^k and K matrices h_t^l; without any, the loss is CLIP's.
        temperature, strong_temperature: tau of weak and of strong views.
        smoothing: Label smoothing of the strong views. It spreads over the batch, so the least possible loss is the
            entropy of the targets, which grows with the batch.
    """
    loss = contrast(weak[0], weak[1], temperature=temperature, symmetric=True)
    if not strong[0]:
        return loss
    target = near.smoothed(near.paired(), smoothing) if smoothing else near.paired()
    how: dict[str, Any] = {"near": target, "temperature": strong_temperature, "symmetric": True}
    each = [contrast(image, text, **how) for image in strong[0] for text in strong[1]]
    views = len(strong[0])
    return (loss + views * torch.stack(each).mean()) / (1 + views)


def matching_views(views: int) -> Iterator[tuple[int, int]]:
    """The numbers of views that a term compares: the weak ones with each other, and all strong ones with all."""
    yield 0, 0
    yield from ((k, m) for k in range(1, views + 1) for m in range(1, views + 1))


class TowerVectors:
    """Encodes the views of a batch with the towers of a model, as far as the heads.

    Not a module: it refers to a model that is trained elsewhere.

    Args:
        model: A model with `TwoHeads`.
        text_dropout: Dropout of the text tower for strong views; weak ones have none.
    """

    def __init__(self, model: SentenceTransformer, text_dropout: float = 0.0) -> None:
        self.text: nn.Module = router_of(model).sub_modules["text"]
        self.text_dropout = text_dropout

    def __call__(self, model: nn.Module, columns: Sides) -> Sides:
        """The vectors of the rows of all processes, one matrix for each column; gradients flow if they are enabled.

        Args:
            model: The model, or a wrapper around it for distributed training; in training mode.
            columns: The features of each column, from the collator.
        """
        files, texts = columns
        images = [_encoded(model, column) for column in files]
        with dropout(self.text, 0.0):
            said = [_encoded(model, texts[0])]
        with dropout(self.text, self.text_dropout):
            said += [_encoded(model, column) for column in texts[1:]]
        return _of_all_processes(images), _of_all_processes(said)


class ViewsLoss(nn.Module):
    """`views_loss` of a model with `TwoHeads`, plus an optional term.

    With several processes, all of them apply the heads to the vectors of the whole batch. So batch norms, label
    smoothing and terms see one batch, and value and gradients are those of one process.

    Args:
        model: The model in training.
        temperatures: Start of tau of weak and of strong views, which are trained; they stay between 0.01 and 1.
        smoothing: Label smoothing of the strong views.
        text_dropout: See `TowerVectors`.
        scale: Factor of the contrastive loss; 2 is the paper's "sum" of both directions.
        term: Added to the loss: a module from a `ViewedBatch` to a number, such as those of `non_contrastive`. Its
            weights are trained.

    Data: the columns of `nearfar.data.paired_views.PairedViews`.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperatures: tuple[float, float] = (0.07, 0.1),
        smoothing: float = 0.1,
        text_dropout: float = 0.0,
        scale: float = 1.0,
        term: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        # In tuples, so that the weights are not listed twice: they belong to the model.
        self._heads = (next(module for module in model if isinstance(module, TwoHeads)),)
        self._routes = tuple(name for name in self._heads[0].widths if name != "text")
        self.encode = TowerVectors(model, text_dropout)
        self.temperatures = averaged_over_processes(_Temperatures(*temperatures))
        self.smoothing, self.scale = smoothing, scale
        self.term = None if term is None else averaged_over_processes(term)

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Float[Tensor, ""]:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        columns = list(sentence_features)
        half = len(columns) // 2
        sides = columns[:half], columns[half:]
        return self.loss_of_towers(self.encode(self.model, sides), sides)

    def loss_of_towers(self, towers: Sides, columns: Sides = ((), ())) -> Float[Tensor, ""]:
        """The loss of the vectors of the towers, of all views of all rows of the batch."""
        tau, tau_strong = self.temperatures()
        (heads,), routes = self._heads, (*self._routes, "text")
        weak = [heads.linear(route, side[0]) for route, side in zip(routes, towers, strict=True)]
        image, text = ([heads.deep(route, x) for x in side[1:]] for route, side in zip(routes, towers, strict=True))
        loss = self.scale * views_loss(weak, (image, text), tau, tau_strong, self.smoothing)
        if self.term is None:
            return loss
        return loss + self.term(ViewedBatch(columns, towers, (image, text), tau_strong))

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        weak, strong = self.temperatures().tolist()
        names = {"temperature": weak, "strong_temperature": strong, "smoothing": self.smoothing, "scale": self.scale}
        return {**names, "term": None if self.term is None else type(self.term).__name__}


class _Temperatures(nn.Module):
    """Both temperatures.

    What is trained is the difference of their logarithms from the start, so that weight decay pulls towards the start,
    not towards 1.
    """

    start: Tensor

    def __init__(self, *start: float) -> None:
        super().__init__()
        self.register_buffer("start", torch.tensor(start).log(), persistent=False)
        self.difference = nn.Parameter(torch.zeros(len(start)))

    def forward(self) -> Float[Tensor, " 2"]:
        with torch.no_grad():
            low, high = (math.log(limit) - self.start for limit in (LEAST, MOST))
            self.difference.copy_(torch.minimum(torch.maximum(self.difference, low), high))
        return (self.start + self.difference).exp()


def _encoded(model: nn.Module, column: Features) -> Tensor:
    # A copy, since modules write what they compute into the features, which a second model may read.
    return by_length(model, dict(column), TOWER)


def _of_all_processes(vectors: Sequence[Tensor]) -> list[Tensor]:
    if not (dist.is_available() and dist.is_initialized()):
        return list(vectors)
    shard = Shard.of(len(vectors[0]), len(vectors[0]), vectors[0].device, dist.group.WORLD)  # type: ignore[arg-type]
    # Every process computes the same loss, and the gradient that comes back is the sum of theirs: as many times that of
    # one process as there are processes, which is undone where the gradients of the towers are averaged.
    return [shard.gather(each) for each in vectors]
