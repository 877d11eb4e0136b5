"""DSE, distilled sentence embedding: an encoder and a small pair head learn the scores of a cross-encoder.

Barkan, Razin, Malkiel, Katz, Caciularu, Koenigstein 2020, Scalable Attentive Sentence-Pair Modeling via Distilled
Sentence Embedding (AAAI 2020).

Claim: an encoder with a pair head that is trained to reproduce a cross-encoder's logits keeps most of its accuracy (on
average 4.6% worse over five GLUE tasks). It scores queries against known candidates orders of magnitude faster, because
each sentence is encoded once and not once per pair.

    u, v = e(A), e(B)                       e: mean over tokens without [CLS] of the top 4 layers, concatenated
    phi  = [u ; v ; u * v ; |u - v|]
    o    = W2 relu(W1 phi + b1) + b2        W1: 4 d -> 512
    loss = (1 - alpha) label(o, y) + alpha mean_i sum_c (o_ic - z_ic)^2,   z: the teacher's logits

The label term is the kernel's, with pairs as anchors and classes as candidates. The distillation term is not a
contrast: a squared error of logits has no denominator. `distance=softened` is the kernel's form of it, T^2 KL of the
softened logits; its limit for large T is the squared error without the common offset of a pair's logits.

Rows: `score` is a number (`kind=regression`), a label or probability 0 to 1 (`binary`), or a class 0, 1, 2 ...
(`classes`). Without `teacher`, one is first fitted on the same rows, starting from the same model, as the authors do.
`model/` loads as a SentenceTransformer with the model's own pooling, which is what `--eval` measures;
`nearfar.kinds.pair_scorer.PairScorer.load` adds the head.

Differences from the paper: the encoder is the given model, theirs BERT-large. The teacher of a binary task has one
logit instead of two, and reads pairs of twice `max_length`; theirs reads no more than a single sentence. Gradients are
clipped over all weights together. The warm-up is a tenth of the steps, as intended; their code counts micro-batches. No
epoch is selected by a validation set. The dropout of their classifier is on the head's input. The order of the four
layers in their vectors could not be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, Fraction, Positive, Probability, TrainingOptions, from_options
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of DSE, the authors' defaults.

    Args:
        kind: What a score is, and with it the loss on the labels.
        alpha: Weight of the teacher's term; 0: no teacher.
        teacher: Folder or hub id of a cross-encoder; empty: fit one on the rows.
        teacher_epochs, teacher_learning_rate: Of that fit.
        distance: To the teacher: squared error of the logits, or KL of the softened ones.
        temperature: T of the softened logits.
        layers: Number of layers, from the top, whose means make the vector.
        features: Input of the head: `concat` is phi, `dot` the dot product of u and v.
        hidden: Width of the head.
        dropout: Dropout probability on the vectors, in training.
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
    """Add a pair head to the model, and the teacher's logits to the labels."""
    import torch

    from nearfar.data.targets import targets_of
    from nearfar.kinds.pair_scorer import PairScorer
    from nearfar.losses.distillation import DistilledPairs
    from nearfar.models.pairs.head import PairHead, PairHeadConfig
    from nearfar.models.pairs.teacher import Fit
    from nearfar.models.pairs.teacher_logits import teacher_logits
    from nearfar.models.pairs.top_layers import width

    targets, outputs = targets_of(rows, options.kind)
    # Before the teacher: fitting it draws random numbers, and reading its logits from the cache draws none.
    head = PairHead(from_options(PairHeadConfig, options, width=width(model, options.layers), outputs=outputs))
    labels = torch.tensor(targets)[:, None]
    if options.alpha:
        rate, length = options.teacher_learning_rate, 2 * options.max_length
        seed = torch.initial_seed() % 2**32
        fit = Fit(options.teacher_epochs, rate, options.batch_size, length, options.precision, seed)
        logits = teacher_logits(rows, targets, options.kind, outputs, model, options.teacher, fit)
        labels = torch.cat([labels, logits], 1)
    rows = rows.remove_columns("score").add_column("label", labels.tolist())
    loss = DistilledPairs(model, head, options.alpha, options.distance, options.temperature)
    return Plan(PairScorer(model, head), Stage(rows, loss, batches="shuffled"))


RECIPE = Recipe("dse", {"rows": ("scored pairs",)}, Options, prepare)
