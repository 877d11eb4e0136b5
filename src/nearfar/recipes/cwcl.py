"""CWCL: a trained tower learns all similarities of a frozen tower, not only its pairs.

Srinivasa et al. 2023, CWCL: Cross-Modal Transfer with Continuously Weighted Contrastive Loss (NeurIPS 2023,
arXiv 2309.14580). It follows Zhai et al. 2022, LiT: Zero-Shot Transfer with Locked-image Text Tuning (CVPR 2022).

Claim: for CLIP and LiT all items of a batch but an anchor's own are equally wrong, although similarity has degrees. The
frozen tower knows these degrees; weights from its own cosines make better zero-shot classifiers of images and speech.

    w_ij = (1 + cos(p_i, p_j)) / 2                                              p: frozen, q: trained
    loss = - mean_i 1/sum_j w_ij sum_j w_ij log softmax_j( cos(p_i, q_j) / tau )
           - mean_j log softmax_i( cos(p_i, q_j) / tau )_j

The weighted direction has the frozen items as anchors; the other one has no weights. tau is learned, starting at 0.07.
`weigh=none` is LiT. In the paper images are frozen and texts trained, or texts frozen and audio files trained.

Differences from the paper: the frozen tower's vectors are computed once, before training, so there is no augmentation
on that side. A tower with new weights cannot be the frozen one, so a `small-...` image tower learns from frozen texts.
`relu`, `power` and a separate temperature of the weighted direction are additions: `half` gives unrelated items 0.5, so
the targets become flatter as the batch grows. The authors' code was not found; the sum of both directions and the row
normalization follow an independent implementation (CellCLIP), tau's start and limit are CLIP's. Which tower the paper
froze, its data and its figures could not be verified, and its encoders are much larger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Positive, TowerOptions
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from torch import Tensor


@dataclass(frozen=True)
class Options(TowerOptions):
    """Hyper-parameters of CWCL.

    Args:
        learning_rate: Peak of the schedule, for new weights.
        pretrained_rate: Factor of it for the pre-trained layers of the trained tower.
        frozen: Frozen tower; `auto`: images if their tower is pre-trained, otherwise texts.
        weigh: From a cosine c to a weight. `half`: (1 + c) / 2; `relu`: max(c, 0); `power`: max(c, 0)^power; `none`:
            own pair only.
        power: Exponent of `power`.
        temperature: Start of tau.
        weighted_temperature: Start of a separate temperature for the weighted direction; none: both share tau.
    """

    epochs: float = 10.0
    batch_size: int = 128
    learning_rate: float = 1e-3
    pretrained_rate: Positive = 0.05
    frozen: Literal["auto", "text", "image", "audio"] = "auto"
    weigh: Literal["half", "relu", "power", "none"] = "half"
    power: Positive = 4.0
    temperature: Positive = 0.07
    weighted_temperature: Positive | None = None


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Add the missing tower, compute the frozen tower's vectors, and train the other tower towards them."""
    import torch

    from nearfar.data.media import medium_in
    from nearfar.models.towers import freeze
    from nearfar.models.towers.reading import encode_tower

    medium = medium_in(rows.column_names)
    assert medium is not None
    untrained = options.begins_untrained(model, medium)
    frozen = options.frozen
    if frozen == "auto":
        frozen = "image" if medium == "image" and not untrained else "text"
    if frozen == medium and untrained:
        problem = f"expected a pre-trained tower, got {options.tower(medium)}, which has new weights"
        raise InputError(problem, field="frozen", remedy=f"freeze text, or use a pre-trained {medium}_model")
    options.add_tower(model, medium, frozen=frozen)
    freeze(model, frozen)
    trained = "text" if frozen == medium else medium
    reference = torch.from_numpy(encode_tower(model, rows, frozen, batch_size=options.batch_size))
    # The last layer of a pre-trained tower may be new; its other layers are not.
    slow = {} if untrained and trained == medium else {rf"sub_modules\.{trained}\.0\.": options.pretrained_rate}
    return Plan(model, replace(against(model, rows, trained, reference, options), learning_rates=slow))


def against(
    model: SentenceTransformer, rows: Dataset, trained: str, reference: Float[Tensor, "rows d"], options: Options
) -> Stage:
    """Train one tower, `text`, `image` or `audio`, towards given vectors, one for each row."""
    from nearfar import near
    from nearfar.losses.reference import ReferenceLoss
    from nearfar.models.towers.rows import numbered_inputs

    loss = ReferenceLoss(
        model,
        reference,
        weigh={"none": None, "power": near.power(options.power)}.get(options.weigh, options.weigh),
        temperature=options.temperature,
        weighted_temperature=options.weighted_temperature,
        gather_across_devices=True,
    )
    return Stage(numbered_inputs(model, rows, trained), loss, batches="shuffled")


RECIPE = Recipe("cwcl", {"rows": ("image + text", "audio + text")}, Options, prepare)
