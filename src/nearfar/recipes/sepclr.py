"""SepCLR: what a background and a target share goes into one space, what only the target has into another.

Louiset, Duchesnay, Grigis, Gori 2024, Separating common from salient patterns with Contrastive Representation Learning
(ICLR 2024, arXiv 2402.11928).

Claim: from two datasets alone (healthy and ill, last year's and this month's mail) two contrastive encoders separate
common from salient factors. Two things are needed: the salient code of the background is one constant, and the joint
entropy of both codes is kept high, so that neither space repeats the other.

    C  = A(c1, c2) + U(c1) + U(c2)                  c: unit vectors of two views of all rows
    S  = A(s1, s2 | target) + U(u1) + U(u2)         u: s of targets, 0 of the background
    S0 = mean |s|^2 / (2 tau) over the background   J = mean_i log mean_j exp(-(|c_i-c_j|^2 + |u_i-u_j|^2) / (2 tau))
    loss = C + beta_s S + beta_0 S0 + lambda J      A = mean |x1 - x2|^2 / (2 tau), U: log of the mean kernel of pairs

The terms are its ablations: `joint=0`, `informationless=0`. With `joint=0` the common encoder is alignment and
uniformity on all rows. With `attributes`, S has one dimension for each known attribute of the targets.

Differences from the paper: the learning rate falls linearly, and its default number of epochs is lower. Views of images
are turned, scaled and shifted, with gain and noise: no flips or colours, which other data may need. Views of audio and
of texts (by dropout) are additions, as are pretrained encoders, whose own layers learn with `pretrained_rate`, and
`encoders=shared`. With `attributes` both views have `dims` dimensions, and the head of the loss has the attributes.
Batches have as many targets as background rows where both have enough. The paper's figures could not be verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, NonNegative, Positive, Probability, TrainingOptions, Whole
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import DatasetDict
    from sentence_transformers import SentenceTransformer

BACKGROUND = ("images", "audio", "sentences")
DESCRIBED = ("image + attributes", "audio + attributes", "text + attributes", "image + label", "audio + label")


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of SepCLR.

    Args:
        salient, informationless, joint: beta_s, beta_0 and lambda.
        temperature: tau, the squared width of all kernels.
        encoders: `two` with their own weights, or one `shared` by two linear layers.
        dims: Dimensions of a new linear layer at the end of each view; 0: those of the encoder.
        attributes: Supervise by the target's column `attributes` (lists of numbers) or `label`: `continuous` numbers,
            `discrete` ones, or `auto`: discrete where all are whole numbers. `none`: do not.
        pretrained_rate: Factor of `learning_rate` for pretrained layers.
        dropout: Dropout of a text encoder, which makes its two views.
        image_size, seconds: Size of images in pixels, for the small encoders; of audio, for them and `whisper-tiny`.
        gradient_clip: Maximum gradient norm; 0: none, as the weights of the two spaces differ a thousandfold.
    """

    epochs: float = 20.0
    batch_size: int = 256
    learning_rate: float = 3e-4
    salient: NonNegative = 1000.0
    informationless: NonNegative = 1000.0
    joint: NonNegative = 10.0
    temperature: Positive = 0.5
    encoders: Literal["two", "shared"] = "two"
    dims: Whole = 32
    attributes: Literal["none", "auto", "continuous", "discrete"] = "none"
    pretrained_rate: Positive = 0.1
    dropout: Probability = 0.1
    image_size: Count = 64
    seconds: Count = 4
    gradient_clip: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoders == "shared" and not self.dims:
            problem = "expected dims of at least 1 for a shared encoder, whose two views would be equal"
            raise InputError(problem, field="dims", remedy="set dims=32, or encoders=two")


def prepare(name: str | Path | SentenceTransformer | None, rows: DatasetDict, options: Options) -> Plan:
    """Make the two encoders, label the rows by where they come from, and compose the terms."""
    from nearfar.data.contrasted import attributes_of, joined, shared_column
    from nearfar.data.media import decoded
    from nearfar.losses import SeparationLoss, SeparationWeights
    from nearfar.models.augmentation import augmented
    from nearfar.models.dropout import set_dropout
    from nearfar.models.leakage import leakage_while_training
    from nearfar.models.towers.reading import reader_for
    from nearfar.models.view_encoders import encoder_with_views

    column = shared_column(rows)
    values, discrete = None, None
    if options.attributes != "none":
        values, discrete = attributes_of(rows["target"], options.attributes)
    model, pretrained = encoder_with_views(
        name,
        column,
        ("salient", "common"),
        shared=options.encoders == "shared",
        dims=options.dims,
        image_size=options.image_size,
        seconds=options.seconds,
    )
    if column == "text":
        set_dropout(model, options.dropout)
    weights = SeparationWeights(options.salient, options.informationless, options.joint, options.temperature)
    loss = SeparationLoss(model, weights, augmented, discrete)
    batches: Any = "group_by_label" if discrete is None else "shuffled"
    data = joined(rows, values)
    data = data if column == "text" else decoded(data, reader_for(model, column))
    rates = {r"sub_modules\.\w+\.0\.": options.pretrained_rate} if pretrained else None
    return Plan(model, Stage(data, loss, batches, learning_rates=rates), measure=leakage_while_training(rows["target"]))


RECIPE = Recipe(
    "sepclr",
    {"background": BACKGROUND, "target": (*DESCRIBED, "labelled", *BACKGROUND)},
    Options,
    prepare,
    model={"image": "small-cnn", "audio": "small-audio", "text": "minilm"},
    makes_model=True,
)
