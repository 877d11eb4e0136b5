"""CWCL: a trained tower takes over the whole neighbourhood of a frozen one, not its pairs alone.

Srinivasa et al. 2023, CWCL: Cross-Modal Transfer with Continuously Weighted Contrastive Loss (NeurIPS 2023,
arXiv 2309.14580). It follows Zhai et al. 2022, LiT: Zero-Shot Transfer with Locked-image Text Tuning (CVPR 2022).

Claim: CLIP and LiT take every item of a batch but an anchor's own as equally wrong, although likeness has degrees. The
frozen tower knows them; weights by its own cosines make better zero-shot classifiers, of pictures and of speech.

    w_ij = (1 + cos(p_i, p_j)) / 2                                              p: frozen, q: trained
    loss = - mean_i 1/sum_j w_ij sum_j w_ij log softmax_j( cos(p_i, q_j) / tau )
           - mean_j log softmax_i( cos(p_i, q_j) / tau )_j

The weighted direction has the frozen items as anchors; the other one stays plain. tau is learned, starting at 0.07.
With `weigh=none` this is LiT. In the paper pictures are frozen and texts trained, texts frozen and recordings trained.

Here: the frozen tower's vectors are computed once, before training, so there is no augmentation on that side. A tower
that begins untrained cannot be the frozen one, so a `small-...` tower for pictures learns from frozen texts. `relu`,
`power` and a temperature of its own for the weighted direction are not in the paper: `half` gives unrelated items 0.5,
so the larger the batch, the flatter the targets. No code of the authors was found; the sum of both directions and the
row normalisation follow an independent implementation (CellCLIP), tau's start and clamp are CLIP's. Which tower the
paper froze, its data and its figures could not be verified, and its encoders are far larger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Positive, TowerOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from torch import Tensor


@dataclass(frozen=True)
class Options(TowerOptions):
    """Hyper-parameters of CWCL.

    Args:
        learning_rate: Of weights that begin untrained.
        pretrained_rate: Factor of it for the layers of a trained tower that come pre-trained.
        frozen: `auto`: pictures over texts, texts over recordings, and texts over what begins untrained.
        weigh: From a cosine c to a weight: `half`: (1 + c) / 2. `relu`: max(c, 0). `power`: max(c, 0)^power.
            `none`: own pair alone.
        power: Of `power`.
        temperature: Where tau starts.
        weighted_temperature: Where a temperature of its own starts, of the weighted direction; none: both share tau.
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
    """Give the model its other tower, compute the frozen one's vectors, and train the rest towards them."""
    import torch

    from nearfar.data.media import medium_in
    from nearfar.models.towers import freeze, medium_of
    from nearfar.models.towers.reading import encode_tower

    medium = medium_in(rows.column_names)
    assert medium is not None
    begins = medium_of(model) is None
    untrained = begins and options.begins_untrained(medium)
    auto = "image" if medium == "image" and not untrained else "text"
    frozen = auto if options.frozen == "auto" else options.frozen
    if frozen == medium and untrained:
        problem = f"{options.tower(medium)} begins untrained, and its vectors say nothing"
        raise InputError(problem, field="frozen", remedy=f"freeze text, or give a trained {medium}_model")
    if begins:
        options.add_tower(model, medium, frozen=frozen)
    freeze(model, frozen)
    trained = "text" if frozen == medium else medium

    reference = torch.from_numpy(encode_tower(model, rows, frozen, batch_size=options.batch_size))
    # The last layer of a tower that comes pre-trained may be new; the others are not.
    slow = {} if untrained and trained == medium else {rf"sub_modules\.{trained}\.0\.": options.pretrained_rate}
    return Plan(model, replace(against(model, rows, trained, reference, options), learning_rates=slow))


def against(
    model: SentenceTransformer,
    rows: Dataset,
    trained: Literal["text", "image", "audio"],
    reference: Float[Tensor, "rows d"],
    options: Options,
) -> Stage:
    """Train the tower of one column towards vectors that are there already, one a row."""
    from datasets import Dataset

    from nearfar import near
    from nearfar.data.media import decoded
    from nearfar.losses.reference import ReferenceLoss
    from nearfar.models.encoding import as_texts
    from nearfar.models.towers.reading import reader_for

    loss = ReferenceLoss(
        model,
        reference,
        weigh={"none": None, "power": near.power(options.power)}.get(options.weigh, options.weigh),
        temperature=options.temperature,
        weighted_temperature=options.weighted_temperature,
        gather_across_devices=True,
    )
    if trained == "text":
        numbered = Dataset.from_dict({"text": as_texts(rows["text"]), "label": range(len(rows))})
    else:
        numbered = rows.select_columns([trained]).add_column("label", list(range(len(rows))))
        numbered = decoded(numbered, reader_for(model, trained))
    return Stage(numbered, loss, batches="shuffled")


RECIPE = Recipe("cwcl", {"rows": ("image + text", "audio + text")}, Options, prepare)
