"""Contrastive gap: the two sides of a contrastive model end up apart, whatever they are; two terms join them.

Fahim, Murphy, Fyshe 2024, It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap
(arXiv 2405.18570). The terms are those of Wang, Isola 2020; the one across the sides is the paper's own.

Claim: two towers trained with the contrastive loss put images and texts into separate regions of the sphere, and so do
two for one modality, with the same inputs and an aligned start: the cause is the loss. With uniformity and alignment
added the gap closes; retrieval does not improve, zero-shot classification does.

    CLIP   = (CE(A B^T / tau) + CE(B A^T / tau)) / 2,  tau fixed
    CUA    = CLIP + (U(A) + U(B)) / 2 + mean_i |a_i - b_i|^2,   U(X) = log mean_{i<j} exp(-2 |x_i - x_j|^2)
    CUAXU  = CUA + XU(A, B),                                   XU(A, B) = log mean_{i!=j} exp(-2 |a_i - b_j|^2)

U and XU dominate late in training: lower their weights if retrieval matters most. `metrics.json` has the gap.

Differences from the paper: U is a mean over distinct pairs, as in the authors' code; `form=text` sums over all pairs
and divides by the batch size, as their text does. The learning rate falls linearly; theirs is constant, 1e-6. `aligned`
is their control: a fixed rotation after the second of two text towers. Their figures could not be verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import ContrastOptions, Positive, TowerOptions, Whole
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions, TowerOptions):
    """Hyper-parameters of the three losses; `temperature` is not trained.

    Args:
        loss: One of the three, see the formulas.
        uniformity, alignment, cross_uniformity: Weights of the terms; none: those of `loss`.
        t, form: Sharpness of the uniformities; `distinct`: U of the formulas, `text`: that of the paper's text.
        towers: For texts: `shared` reads both sides, `two` have their own weights.
        second_model: Second of two text towers; none: a copy of the first.
        dims: Dimensions of a new projection at the end of each tower; 0: no projection.
        untrained_rate: Factor of `learning_rate` for a tower with new weights, such as the `small-...` ones.
        aligned: Rotate the second of two text towers onto the first before training.
    """

    epochs: float = 9.0
    weight_decay: float = 0.1
    temperature: float = 0.01
    loss: Literal["clip", "cua", "cuaxu"] = "cua"
    uniformity: float | None = None
    alignment: float | None = None
    cross_uniformity: float | None = None
    t: Positive = 2.0
    form: Literal["distinct", "text"] = "distinct"
    towers: Literal["shared", "two"] = "shared"
    second_model: str | None = None
    dims: Whole = 0
    untrained_rate: Positive = 50.0
    aligned: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Give the model its towers; compose the contrastive loss and the terms that are added to it."""
    from nearfar.data.media import medium_in
    from nearfar.losses import HypersphereLoss, HypersphereWeights
    from nearfar.models.gap import gap_while_training
    from nearfar.models.towers.rows import both_sides
    from nearfar.models.towers.texts import align_second, project, set_text_towers

    medium = medium_in(rows.column_names)
    rates = {rf"sub_modules\.{medium}\.": options.untrained_rate} if options.begins_untrained(model, medium) else None
    set_text_towers(model, options.towers if medium is None else "shared", options.second_model)
    if not options.add_tower(model, medium, dims=options.dims or None) and options.dims:
        project(model, options.dims)
    rows = both_sides(model, rows)
    if options.aligned:
        align_second(model, rows[rows.column_names[0]])

    terms = options.uniformity, options.alignment, options.cross_uniformity
    weights = HypersphereWeights.of(options.loss, *terms, t=options.t, self_pairs=options.form == "text")
    loss = HypersphereLoss(model, weights, symmetric=True, **options.contrast)
    return Plan(model, Stage(rows, loss, learning_rates=rates), measure=gap_while_training(rows))


ROWS = ("image + text", "audio + text", "pairs", "sentences")
RECIPE = Recipe("contrastive_gap", {"rows": ROWS}, Options, prepare, required_options={"sentences": "towers"})
