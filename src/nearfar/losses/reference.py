"""Training one tower against the frozen vectors of another, whose cosines weight all pairs of rows."""

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

#: Minimum of a learned temperature; CLIP's logit scale has the same limit, 100.
LEAST_TEMPERATURE = 0.01


class ReferenceLoss(ContrastLoss):
    """Frozen vectors p as anchors with continuous weights, plus trained vectors q as anchors with one positive each.

        W_ij = weigh(cos(p_i, p_j)),   P = W / its row sums
        loss = contrast(p, q, P, tau_w) + contrast(q, p, identity, tau)

    This is a sum, not a mean. The second direction has no weights, because the similarities of the trained tower are
    not reliable yet. No gradient reaches p or W.

    Args:
        model: The model in training.
        reference: p of all rows, (N, d), computed once with the frozen tower.
        weigh: See `near.by_similarity`; None: no weights in either direction (W = identity), as in LiT and CLIP.
        temperature: Initial tau; a learned tau is at least `LEAST_TEMPERATURE`.
        weighted_temperature: Initial tau_w, learned separately; None: use tau. Flat weights need a larger one.
        learn_temperature: Train tau and tau_w.
        engine, gather_across_devices: See `ContrastLoss`.

    Data: one column of inputs of the trained tower, and `label`, their rows of `reference`.

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
        """tau_w: a number, or a 0-d tensor that is trained."""
        if self._weighted is None:
            return self.temperature
        return self._weighted if self.log_weighted is None else self.log_weighted.exp()

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        if labels is None:
            raise ValueError("ReferenceLoss requires a 'label' column: the row of `reference` of each input")
        (vectors,) = embed(self.model, list(sentence_features))
        return self.loss_of_rows(vectors, labels)

    def loss_of_rows(self, vectors: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> Tensor:
        """The loss of trained vectors and their rows of `reference`."""
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
        """The entries of this loss in the model card."""
        weigh = self.weigh if self.weigh is None or isinstance(self.weigh, str) else "a function"
        weighted = float(torch.as_tensor(self.weighted_temperature).detach())
        return {**super().get_config_dict(), "weigh": weigh, "weighted_temperature": weighted}
