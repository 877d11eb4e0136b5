"""Contrastive gap: the two sides of a contrastive model lie apart, whatever they are; two terms bring them together.

Fahim, Murphy, Fyshe 2024, It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap
(arXiv 2405.18570). The terms are those of Wang, Isola 2020; the one across the sides is the paper's own.

Claim: two towers that are trained by the contrastive loss put pictures and texts into separate regions of the sphere.
So they do with one modality, the same inputs on both sides and an aligned start: the loss makes the gap, not the
modalities. With uniformity and alignment beside it the gap closes; retrieval does not gain by it, zero-shot
classification does.

    CLIP   = (CE(A B^T / tau) + CE(B A^T / tau)) / 2,  tau fixed
    CUA    = CLIP + (U(A) + U(B)) / 2 + mean_i |a_i - b_i|^2,   U(X) = log mean_{i<j} exp(-2 |x_i - x_j|^2)
    CUAXU  = CUA + XU(A, B),                                   XU(A, B) = log mean_{i!=j} exp(-2 |a_i - b_j|^2)

`loss` chooses, and `uniformity`, `alignment`, `cross_uniformity` say otherwise. U and XU stand at -4 where CLIP's loss
may be 0.2, and outweigh it late: turn them down where retrieval matters most. The run's `metrics.json` holds the gap
before and after training, on held-out pairs where there are any. A control that the paper lacks: each side's mean
subtracted after training takes the centres together, too, and for nothing.

Here: U is a mean over distinct pairs, as in the authors' code; `form=text` sums over all and divides by the batch, as
their text has it. XU differs by a constant between the two. The learning rate falls linearly from a peak, theirs is
constant, 1e-6, over some 16,000 steps with CLIP ViT-B/32; AdamW's betas are (0.9, 0.999), theirs (0.9, 0.99). `dims`
puts the fresh projection of their experiments onto each tower. Their idealised control is `aligned`: texts alone (or
pairs), two towers of which the second ends in the rotation that aligns it with the first before training, fixed.
Their figures, all from fine-tuning CLIP on COCO, could not be verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Positive, TowerOptions, Whole
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.losses import HypersphereWeights

#: Weights of uniformity, alignment, cross-uniformity.
LOSSES = {"clip": (0.0, 0.0, 0.0), "cua": (1.0, 1.0, 0.0), "cuaxu": (1.0, 1.0, 1.0)}
#: Inputs that the rotation is made from.
ALIGNED_ON = 2_048


@dataclass(frozen=True)
class Options(TowerOptions):
    """Hyper-parameters of the three losses.

    Args:
        temperature: tau; it does not learn.
        loss: Which of them, see the formulas.
        uniformity, alignment, cross_uniformity: Weights of the terms; None: as `loss` has them.
        t: Sharpness of the uniformities.
        form: `distinct`: U as above. `text`: as the paper's text has it.
        towers: Of texts: `shared` reads both sides, `two` have weights of their own.
        second_model: The second of two towers; None: a copy of the first.
        dims: A fresh projection to so many numbers at the end of each tower; 0: none.
        untrained_rate: Factor of `learning_rate` for a tower that begins untrained, as the `small-...` ones do.
        aligned: Turn the second of two towers onto the first before training, and keep it so.
        cached: Gradient cache, for batches that do not fit.
    """

    epochs: float = 9.0
    weight_decay: float = 0.1
    temperature: Positive = 0.01
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
    cached: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.towers == "shared" and self.second_model is not None:
            raise InputError("a shared tower has no second", field="second_model", remedy="set towers=two")

    @property
    def weights(self) -> HypersphereWeights:
        """Of the three terms."""
        from nearfar.losses import HypersphereWeights

        said = (self.uniformity, self.alignment, self.cross_uniformity)
        chosen = [preset if weight is None else weight for weight, preset in zip(said, LOSSES[self.loss], strict=True)]
        return HypersphereWeights(*chosen, t=self.t, self_pairs=self.form == "text")


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Towers, the contrastive loss, and the terms beside it."""
    from nearfar.losses import HypersphereLoss
    from nearfar.models.gap import gap_while_training

    rows, rates = _with_towers(model, rows, options)
    loss = HypersphereLoss(
        model,
        options.weights,
        temperature=options.temperature,
        symmetric=True,
        cached=options.cached,
        gather_across_devices=True,
    )
    return Plan(model, Stage(rows, loss, learning_rates=rates), measure=gap_while_training(rows))


def _with_towers(
    model: SentenceTransformer, rows: Dataset, options: Options
) -> tuple[Dataset, dict[str, float] | None]:
    """Give the model its towers, in place. The rows as these read them, one column a side; and their learning rates."""
    from nearfar.data.media import decoded, medium_in
    from nearfar.data.positives import paired_with_themselves
    from nearfar.models.towers import medium_of
    from nearfar.models.towers.reading import reader_for
    from nearfar.models.towers.texts import align_second, has_text_towers, project, split_towers

    medium, rates = medium_in(rows.column_names), None
    if medium is not None and medium_of(model) is None:
        options.add_tower(model, medium, dims=options.dims or None)
        untrained = options.begins_untrained(medium)
        rates = {rf"sub_modules\.{medium}\.": options.untrained_rate} if untrained else None
    else:
        if medium is None and options.towers == "two" and not has_text_towers(model):
            split_towers(model, options.second_model)
        if options.dims:
            project(model, options.dims)
    if medium is not None:
        rows = decoded(rows.select_columns([medium, "text"]), reader_for(model, medium))
    elif "text" in rows.column_names and not has_text_towers(model):
        raise InputError("texts without pairs, and one tower: both sides are the same", remedy="set towers=two")
    elif "text" in rows.column_names:
        rows = paired_with_themselves(rows)
    if options.aligned:
        align_second(model, rows[rows.column_names[0]][:ALIGNED_ON])
    return rows, rates


RECIPE = Recipe("contrastive_gap", {"rows": ("image + text", "audio + text", "pairs", "sentences")}, Options, prepare)
