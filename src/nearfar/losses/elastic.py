"""One loss at several depths and widths of the encoder: views of one forward pass."""

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

#: From one matrix (batch, d) a column, and the label column or None, to a number.
VectorLoss = Callable[[Sequence[Tensor], Tensor | None], Tensor]


@dataclass(frozen=True)
class Size:
    """An encoder inside the encoder.

    Args:
        layers: How many layers, counted from the first.
        dims: How many numbers of the vector, counted from the first.
        weight: What its loss counts in the sum.
    """

    layers: int
    dims: int
    weight: float = 1.0


class ElasticLoss(nn.Module):
    """The sum of a loss over several sizes of one encoder, and the divergence of shallow vectors from the deepest.

        L = sum over sizes (n, d) of weight * base( X_n[:, :d] ) + kl_weight * sum over n < N of KL(X_N || X_n)

    X_n: vectors after layer n, as `LayerViews` gives them. Whatever the number of sizes, a step costs one forward pass.
    With sizes of full depth alone this is Matryoshka representation learning (Kusupati et al. 2022).

    Args:
        model: The model in training.
        base: A loss over vectors, such as `ContrastLoss(model).loss_of_vectors`. It sees prefixes as they are cut: one
            that does not compare by cosine must normalise for itself.
        draw: The sizes of a batch; asked once a batch.
        kl_weight: What the divergence counts, see `coordinate_divergence`; 0 leaves it out.
        kl_temperature: Its temperature.
        detach_teacher: Keep its gradient from the deepest vectors, so that they are not drawn towards shallow ones.

    Raises:
        ValueError: `base` is a module that embeds texts by itself: it would see full vectors alone, or work with a
            gradient cache behind this loss's back.
        InputError: The model's layers cannot be told apart, see `LayerViews`.
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
                f"base must be a function of vectors, and {type(base).__name__} embeds texts by itself; "
                "pass e.g. ContrastLoss(model).loss_of_vectors"
            )
        self.model = model
        self.base, self.draw = base, draw
        self.kl_weight, self.kl_temperature, self.detach_teacher = kl_weight, kl_temperature, detach_teacher
        self.views = LayerViews(model)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as sentence-transformers' trainer hands it over."""
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
        """What the model card says of this loss."""
        return {
            "kl_weight": self.kl_weight,
            "kl_temperature": self.kl_temperature,
            "detach_teacher": self.detach_teacher,
        }


def coordinate_divergence(
    teacher: Float[Tensor, "n d"], student: Float[Tensor, "n d"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """T^2 KL( softmax(teacher / T) || softmax(student / T) ) over the d numbers of a vector, averaged over the n rows.

    It compares the vectors' values, not their directions: for unit vectors of hundreds of numbers both softmaxes are
    near uniform, and it is next to nothing.
    """
    log_p, log_q = (F.log_softmax(x.float() / temperature, dim=-1) for x in (teacher, student))
    return temperature**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def widths(full: int, least: int = 8) -> list[int]:
    """`least`, twice that, and so on, below `full`."""
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
    """Sizes of 2D Matryoshka: all layers and one shallower depth, each at full width and at one narrower width.

    Both are drawn anew at each call, uniformly, by torch's own generator (so that a resumed run goes on as it would
    have): the depth from 1 to N - 1, the width from `widths(full, least)`.

    Args:
        depth: N, see `nearfar.models.elastic.depth`.
        width: The full width, see `nearfar.models.elastic.width`.
        teacher: Weight of the two sizes with all layers.
        student: Weight of the two shallower ones.
        least: The narrowest width that is drawn.
        divided_by_depth: Divide the student's weight by its depth.

    Raises:
        InputError: The model has one layer, or vectors no wider than `least`.
    """
    narrower = widths(width, least)
    if depth < 2:
        raise InputError("the model has one layer, so none can be left out", field="model", remedy="take a deeper one")
    if not narrower:
        raise InputError(f"vectors of {width} numbers have no narrower width", field="least_dims", remedy="give less")

    def draw() -> list[Size]:
        n = int(torch.randint(1, depth, ()))
        d = narrower[int(torch.randint(len(narrower), ()))]
        shallow = student / n if divided_by_depth else student
        return [Size(depth, width, teacher), Size(n, width, shallow), Size(depth, d, teacher), Size(n, d, shallow)]

    return draw


def fixed(depth: int, width: int, sizes: Sequence[tuple[int, int]]) -> Callable[[], list[Size]]:
    """The same (layers, dims) at every step, their losses averaged, as in Starbucks (Zhuang et al. 2024).

    Raises:
        InputError: None is given, or one is larger than the model's `depth` and `width`.
    """
    if not sizes:
        raise InputError("there is no size to train", field="sizes", remedy="give e.g. 2x32,4x64,6x384")
    for n, d in sizes:
        if not (1 <= n <= depth and 1 <= d <= width):
            raise InputError(
                f"{n}x{d} is no size of this model", field="sizes", remedy=f"give at most {depth}x{width}, at least 1x1"
            )
    found = [Size(n, d, 1 / len(sizes)) for n, d in sizes]
    return lambda: found
