"""How much the states of each layer agree with the next-token laws of a teacher, or of the model's own output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.theory import Agreement, Laws, Reference, kernels, spectrum
from nearfar.theory.agreement import gap_near

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from nearfar.inspection.language.options import LanguageInspectOptions

#: Number of eigenvalues that are reported.
EIGENVALUES = 64


@dataclass(frozen=True)
class AtLayer:
    """The agreement of one layer.

    Args:
        layer: 0 for the embeddings, n for the output of layer n; the last one is the input of the head.
        found: Its scores.
        low, high: The lowest and the highest of each score where states are given to contexts at random.
    """

    layer: int
    found: Agreement
    low: Agreement
    high: Agreement

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        null = {name: [low, getattr(self.high, name)] for name, low in self.low._asdict().items()}
        return {"layer": self.layer, **self.found._asdict(), "null": null}


@dataclass(frozen=True)
class KernelFound:
    """The kernel that layers are compared with.

    Args:
        of: Whose next-token laws it is made of: the name of a teacher, or None for the model's own output.
        contexts: Number of contexts.
        eigenvalues: The largest of the centred operator.
        uncentred: The largest eigenvalue without centring: close to 1 where all laws are similar.
        r: Number of directions of the scores.
        permutations: Number of assignments at random.
    """

    of: str | None
    contexts: int
    eigenvalues: list[float]
    uncentred: float
    r: int
    permutations: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"kernel": "bhattacharyya", **asdict(self)}


def layers_to_compare(depth: int, teacher: bool, layers: Sequence[int] | None) -> list[int]:
    """The layers to compare: without a teacher not the last, of which the model's own law is a function.

    Raises:
        InputError: A layer that the model does not have, or the last one without a teacher.
    """
    most = depth if teacher else depth - 1
    if layers is None:
        return list(range(most + 1))
    for layer in layers:
        if layer == depth and not teacher:
            problem = f"layer {layer} is the input of the head: the model's own laws agree with it by construction"
            raise InputError(problem, field="layers", remedy=f"use at most {most}, or a teacher with --against")
        if not 0 <= layer <= most:
            raise InputError(f"invalid layer {layer}: must be from 0 to {most}", field="layers")
    return sorted(set(layers))


def compare_layers(
    laws: Laws,
    states: Sequence[Float[Tensor, "c d"]],
    layers: Sequence[int],
    of: str | None,
    options: LanguageInspectOptions,
) -> tuple[KernelFound, list[AtLayer]]:
    """The kernel of the laws of some contexts, and the agreement of each layer's states with it.

    Args:
        laws: Of the teacher or of the model.
        states: States by layer of the same contexts.
        layers: The layers to compare.
        of: The name of the teacher; None: the model's own output.
        options: Number of directions and permutations, seed.
    """
    kernel = kernels.bhattacharyya(laws)
    values = spectrum(kernel)
    narrowest = min(of_layer.shape[1] for of_layer in states)
    r = gap_near(values, max(1, min(options.directions, len(values) // 8, narrowest // 4)))
    found = KernelFound(
        of=of,
        contexts=len(kernel),
        eigenvalues=values[:EIGENVALUES].clamp(min=0).tolist(),
        uncentred=float(spectrum(kernel, centred=False)[0]),
        r=r,
        permutations=options.permutations,
    )
    reference = Reference(kernel, r)
    at = []
    for layer in layers:
        null = reference.null(states[layer], options.permutations, options.seed)
        low, high = (Agreement(*map(extreme, zip(*null, strict=True))) for extreme in (min, max))
        at.append(AtLayer(layer, reference.agreement(states[layer]), low, high))
    return found, at
