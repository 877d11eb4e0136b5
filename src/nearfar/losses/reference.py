"""One tower against the frozen vectors of another, which say how alike any two rows are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from nearfar import near
from nearfar.losses.contrast import ContrastLoss
from nearfar.models.packing import embed

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.engines import Engine, EngineName
    from nearfar.near import Weigh

__all__ = ["ReferenceLoss"]

#: A learned temperature does not fall below it, as CLIP's logit scale does not rise above 100.
LEAST_TEMPERATURE = 0.01


class ReferenceLoss(ContrastLoss):
    """Frozen vectors p as anchors with continuous weights, trained vectors q as anchors with their own partner alone.

        W_ij = weigh(cos(p_i, p_j)),   P = W / its row sums
        loss = contrast(p, q, P, tau_w) + contrast(q, p, identity, tau)

    a sum, not a mean. The second direction is plain: the trained tower has no similarity yet that could be trusted.
    No gradient reaches p or W.

    Args:
        model: The model in training.
        reference: p of all rows, (N, d), computed once: the frozen tower costs nothing more.
        weigh: As in `near.by_similarity`; None: both directions are plain (W = identity), as in LiT and CLIP.
        temperature: Where tau starts; it is learned, and stays above `LEAST_TEMPERATURE`.
        weighted_temperature: Where tau_w starts, learned by itself; None: it is tau. Flat weights want a larger one.
        learn_temperature: Train both.
        engine, gather_across_devices: See `ContrastLoss`.

    Data: one column of inputs of the trained tower, and `label`, the row of `reference` that each belongs to.

    Source: Srinivasa et al. 2023, Cross-Modal Transfer with Continuously Weighted Contrastive Loss.
    """

    reference: Tensor

    def __init__(
        self,
        model: SentenceTransformer,
        reference: Float[Tensor, "rows d"],
        weigh: Weigh | str | None = "half",
        temperature: float = 0.07,
        weighted_temperature: float | None = None,
        learn_temperature: bool = True,
        engine: EngineName | Engine = "auto",
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__(
            model,
            temperature=temperature,
            learn_temperature=learn_temperature,
            engine=engine,
            gather_across_devices=gather_across_devices,
        )
        self.register_buffer("reference", reference.detach().clone(), persistent=False)
        self.weigh = weigh
        self._weighted = weighted_temperature
        apart = weighted_temperature is not None and learn_temperature
        self.log_weighted = nn.Parameter(torch.tensor(math.log(weighted_temperature or 1))) if apart else None

    @property
    def weighted_temperature(self) -> float | Tensor:
        """tau_w: a number, or a 0-d tensor that learns."""
        if self._weighted is None:
            return self.temperature
        return self._weighted if self.log_weighted is None else self.log_weighted.exp()

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as sentence-transformers' trainer hands it over."""
        if labels is None:
            raise ValueError("ReferenceLoss needs a 'label' column: the row of `reference` that each input belongs to")
        (vectors,) = embed(self.model, list(sentence_features))
        return self.loss_of_rows(vectors, labels)

    def loss_of_rows(self, vectors: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> Tensor:
        """The loss of trained vectors, each with its row of `reference`."""
        self._keep_temperatures_up()
        p = self.reference[labels.to(self.reference.device)].to(vectors.device)
        alike = near.paired() if self.weigh is None else near.by_similarity(p, p, self.weigh)  # type: ignore[arg-type]
        weighted = self.one_way(p, vectors, alike, None, self.weighted_temperature)
        return weighted + self.one_way(vectors, p, near.paired(), None, self.temperature)

    def _keep_temperatures_up(self) -> None:
        with torch.no_grad():
            for log_temperature in (self.log_temperature, self.log_weighted):
                if log_temperature is not None:
                    log_temperature.clamp_(min=math.log(LEAST_TEMPERATURE))

    def get_config_dict(self) -> dict[str, Any]:
        """What the model card says of this loss."""
        weigh = self.weigh if self.weigh is None or isinstance(self.weigh, str) else "a function"
        weighted = float(torch.as_tensor(self.weighted_temperature).detach())
        return {**super().get_config_dict(), "weigh": weigh, "weighted_temperature": weighted}
