"""A loss at several depths and widths of an encoder, from one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from nearfar.errors import InputError
from nearfar.models.elastic import LayerViews
from nearfar.models.packing import embed

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["ElasticLoss", "Size", "coordinate_divergence", "fixed", "one_layer_one_width", "widths"]

#: From one matrix (batch, d) for each column, and the label column or None, to the loss.
VectorLoss = Callable[[Sequence[Tensor], Tensor | None], Tensor]


@dataclass(frozen=True)
class Size:
    """The size of a truncated encoder.

    Args:
        layers: Number of layers, from the first.
        dims: Number of dimensions of the vector, from the first.
        weight: Weight of its loss in the sum.
    """

    layers: int
    dims: int
    weight: float = 1.0


class ElasticLoss(nn.Module):
    """The sum of a loss over several sizes of one encoder, and the divergence of shallow vectors from the deepest ones.

        L = sum over sizes (n, d) of weight * base( X_n[:, :d] ) + kl_weight * sum over n < N of KL(X_N || X_n)

    X_n: vectors after layer n, see `LayerViews`. A step needs one forward pass for any number of sizes. With sizes of
    full depth only, this is Matryoshka representation learning (Kusupati et al. 2022).

    Args:
        model: The model in training.
        base: A loss of vectors, such as `ContrastLoss(model).loss_of_vectors`. Truncated vectors are not normalized: a
            loss that does not use cosines must normalize them.
        draw: Returns the sizes of a batch; called once per batch.
        kl_weight: Weight of the divergence, see `coordinate_divergence`; 0: no divergence.
        kl_temperature: Temperature of the divergence.
        detach_teacher: No gradient of the divergence to the deepest vectors, so that shallow ones do not attract them.

    Raises:
        ValueError: `base` is a module that embeds texts itself: it would use full vectors only, or its own gradient
            cache.
        InputError: The model has no single stack of layers, see `LayerViews`.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        base: VectorLoss,
        draw: Callable[[], Sequence[Size]],
        kl_weight: float = 1.0,
        kl_temperature: float = 1.0,
        detach_teacher: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(base, nn.Module):
            raise ValueError(
                f"expected a function of vectors as base, got {type(base).__name__}, which embeds texts; "
                "pass e.g. ContrastLoss(model).loss_of_vectors"
            )
        self.model = model
        self.base, self.draw = base, draw
        self.kl_weight, self.kl_temperature, self.detach_teacher = kl_weight, kl_temperature, detach_teacher
        self.views = LayerViews(model)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        sizes, deepest = self.draw(), self.views.depth
        layers = sorted({size.layers for size in sizes} | ({deepest} if self.kl_weight else set()))
        columns = embed(cast("nn.Module", self.views.at(self.model, layers)), list(sentence_features))
        vectors = {layer: [column[:, k] for column in columns] for k, layer in enumerate(layers)}
        loss = columns[0].new_zeros(())
        for size in (size for size in sizes if size.weight):
            cut = [column[:, : size.dims] for column in vectors[size.layers]]
            loss = loss + size.weight * self.base(cut, labels)
        if self.kl_weight:
            teacher = torch.cat(vectors[deepest])
            teacher = teacher.detach() if self.detach_teacher else teacher
            for layer in layers[:-1]:
                student = torch.cat(vectors[layer])
                loss = loss + self.kl_weight * coordinate_divergence(teacher, student, self.kl_temperature)
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {
            "kl_weight": self.kl_weight,
            "kl_temperature": self.kl_temperature,
            "detach_teacher": self.detach_teacher,
        }


def coordinate_divergence(
    teacher: Float[Tensor, "n d"], student: Float[Tensor, "n d"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """T^2 KL( softmax(teacher / T) || softmax(student / T) ) over the d numbers of a vector; the mean over n rows.

    It depends on the numbers, not on the direction of a vector: for unit vectors of hundreds of dimensions both
    softmaxes are almost uniform, and it is almost 0.
    """
    log_p, log_q = (F.log_softmax(x.float() / temperature, dim=-1) for x in (teacher, student))
    return temperature**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def widths(full: int, least: int = 8) -> list[int]:
    """`least` and its doubles below `full`."""
    found = []
    while least < full:
        found.append(least)
        least *= 2
    return found


def one_layer_one_width(
    depth: int,
    width: int,
    teacher: float = 1.0,
    student: float = 1.0,
    *,
    least: int = 8,
    divided_by_depth: bool = False,
) -> Callable[[], list[Size]]:
    """Sizes of 2D Matryoshka: full depth and one smaller depth, each at full width and at one smaller width.

    Each call samples both uniformly with torch's global generator (so that a resumed run samples the same): the depth
    from 1 to N - 1, the width from `widths(width, least)`.

    Args:
        depth: N, see `nearfar.models.elastic.depth`.
        width: Full width, see `nearfar.models.elastic.width`.
        teacher: Weight of the two sizes with all layers.
        student: Weight of the two sizes with fewer layers.
        least: Minimum width.
        divided_by_depth: Divide the student's weight by its depth.

    Raises:
        InputError: The model has only one layer, or `least` or fewer dimensions.
    """
    narrower = widths(width, least)
    if depth < 2:
        problem = "expected a model with at least two layers, got one"
        raise InputError(problem, field="model", remedy="use a model with more layers")
    if not narrower:
        problem = f"must be less than the {width} dimensions of the model, got {least}"
        raise InputError(problem, field="least_dims", remedy=f"use at most {width - 1}")

    def draw() -> list[Size]:
        n = int(torch.randint(1, depth, ()))
        d = narrower[int(torch.randint(len(narrower), ()))]
        shallow = student / n if divided_by_depth else student
        return [Size(depth, width, teacher), Size(n, width, shallow), Size(depth, d, teacher), Size(n, d, shallow)]

    return draw


def fixed(depth: int, width: int, sizes: Sequence[tuple[int, int]]) -> Callable[[], list[Size]]:
    """The same (layers, dims) in every step, with equal weights of sum 1, as in Starbucks (Zhuang et al. 2024).

    Raises:
        InputError: There is no size, or one is larger than the model's `depth` and `width`.
    """
    if not sizes:
        raise InputError("expected at least one size, got none", field="sizes", remedy="write e.g. 2x32,4x64,6x384")
    for n, d in sizes:
        if not (1 <= n <= depth and 1 <= d <= width):
            remedy = f"must be 1x1 to {depth}x{width} (layers x dimensions of the model)"
            raise InputError(f"invalid size {n}x{d}", field="sizes", remedy=remedy)
    found = [Size(n, d, 1 / len(sizes)) for n, d in sizes]
    return lambda: found
