"""DSE, distilled sentence embedding: a cross-encoder's scores, learned by an encoder and a small pair head.

Barkan, Razin, Malkiel, Katz, Caciularu, Koenigstein 2020, Scalable Attentive Sentence-Pair Modeling via Distilled
Sentence Embedding (AAAI 2020).

Claim: an encoder with a pair head that is trained to reproduce a cross-encoder's logits keeps most of its accuracy (on
average 4.6% worse over five GLUE tasks), and scores queries against known candidates orders of magnitude faster,
because a sentence is read once and not once a pair.

    u, v = e(A), e(B)                       e: mean over tokens without [CLS] of the top 4 layers, side by side
    phi  = [u ; v ; u * v ; |u - v|]
    o    = W2 relu(W1 phi + b1) + b2        W1: 4 d -> 512
    loss = (1 - alpha) label(o, y) + alpha mean_i sum_c (o_ic - z_ic)^2,   z: the teacher's logits

The label term is the kernel's, with pairs as anchors and classes as candidates. The distillation term is no contrast:
a squared error of logits has no denominator. `distance=softened` is the kernel's form of it, T^2 KL of the softened
logits, of which the squared error is the limit for large T up to the common offset of a pair's logits.

Rows: `score` is a number (`kind=regression`), a label or probability 0 to 1 (`binary`), or a class 0, 1, 2 ...
(`classes`). Without `teacher`, one is fitted first on the same rows, starting from the same model, as the authors do.

Here: the model comes with its own weights, where the authors take BERT-large. The teacher of a binary task has one
logit instead of two, and reads pairs of twice `max_length`, where theirs are cut as single sentences are. Gradients are
clipped over all weights at once, and the warm-up covers the tenth of the steps that it is meant to cover; their code
counts micro-batches. No epoch is selected by a validation set. Their classifier's dropout stays, on the head's input.
The folder `model/` loads as a SentenceTransformer with the model's own pooling, which is what `--eval` measures;
`nearfar.kinds.pair_scorer.PairScorer.load` adds the head. The order of the four layers in the authors' vectors could
not be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, Fraction, Positive, Probability, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of DSE, the authors' defaults.

    Args:
        kind: What a score is, and with it the loss on the labels.
        alpha: The teacher's part of the loss; 0: no teacher.
        teacher: A folder or hub id of a cross-encoder; empty: fit one on the rows.
        teacher_epochs: Passes of that fit.
        teacher_learning_rate: Its learning rate.
        distance: To the teacher: squared error of the logits, or KL of the softened ones.
        temperature: That of the softened ones.
        layers: Of the encoder, from the top, whose means make the vector.
        features: What the head sees of two vectors.
        hidden: Width of the head.
        dropout: On the vectors, in training.
    """

    epochs: float = 5.0
    batch_size: int = 32
    weight_decay: float = 0.01
    max_length: int = 128
    kind: Literal["regression", "binary", "classes"] = "regression"
    alpha: Fraction = 0.5
    teacher: str = ""
    teacher_epochs: Positive = 3.0
    teacher_learning_rate: Positive = 2e-5
    distance: Literal["logits", "softened"] = "logits"
    temperature: Positive = 1.0
    layers: int = 4
    features: Literal["concat", "dot"] = "concat"
    hidden: Count = 512
    dropout: Probability = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distance == "softened" and self.kind == "regression":
            raise InputError("a score has no softmax", field="distance", remedy="use logits, or another kind")


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Put a pair head on the model, and the teacher's logits beside the labels."""
    import torch

    from nearfar.data.targets import targets_of
    from nearfar.kinds.pair_scorer import PairScorer
    from nearfar.losses.distillation import DistilledPairs
    from nearfar.models.pairs.head import PairHead, PairHeadConfig
    from nearfar.models.pairs.teacher import Fit
    from nearfar.models.pairs.teacher_logits import teacher_logits
    from nearfar.models.pairs.top_layers import width

    targets, outputs = targets_of(rows, options.kind)
    # Before the teacher: its fit draws random numbers, and reading its logits from the cache draws none.
    wide = width(model, options.layers)
    config = PairHeadConfig(
        wide, options.kind, outputs, options.hidden, options.features, options.dropout, options.layers
    )
    head = PairHead(config)
    labels = torch.tensor(targets)[:, None]
    if options.alpha:
        fit = Fit(
            epochs=options.teacher_epochs,
            learning_rate=options.teacher_learning_rate,
            batch_size=options.batch_size,
            max_length=2 * options.max_length,
            precision=options.precision,
            seed=torch.initial_seed() % 2**32,
        )
        logits = teacher_logits(rows, targets, options.kind, outputs, model, options.teacher, fit)
        labels = torch.cat([labels, logits], 1)
    rows = rows.remove_columns("score").add_column("label", labels.tolist())
    loss = DistilledPairs(model, head, options.alpha, options.distance, options.temperature)
    return Plan(PairScorer(model, head), Stage(rows, loss, batches="shuffled"))


RECIPE = Recipe("dse", {"rows": ("scored pairs",)}, Options, prepare)
