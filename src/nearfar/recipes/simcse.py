"""SimCSE, unsupervised: a sentence is its own positive, seen twice through different dropout masks.

Gao, Yao, Chen 2021, SimCSE: Simple Contrastive Learning of Sentence Embeddings (EMNLP 2021).

Claim: dropout alone is augmentation enough; training on plain sentences lifts semantic similarity well above the
pre-trained encoder, and the same objective with the dropout switched off (two identical views) falls behind it.

    loss_i = -log( exp(cos(h_i, h'_i)/tau) / sum_j exp(cos(h_i, h'_j)/tau) ),  h, h': two passes over the same sentence

Here: the model's own pooling is kept, where the authors train a BERT [CLS] vector with an extra layer that they throw
away afterwards. Sentences that occur twice never share a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.kinds.options import Positive, Probability, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of unsupervised SimCSE, the paper's for BERT-base.

    Args:
        temperature: tau.
        dropout: Probability in the encoder during training.
        cached: Gradient cache, for batches that do not fit.
    """

    learning_rate: float = 3e-5
    max_length: int = 32
    temperature: Positive = 0.05
    dropout: Probability = 0.1
    cached: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Pair every sentence with itself; dropout makes the two views differ."""
    from nearfar.data.positives import paired_with_themselves
    from nearfar.losses import ContrastLoss
    from nearfar.models.dropout import set_dropout

    set_dropout(model, options.dropout)
    loss = ContrastLoss(model, temperature=options.temperature, cached=options.cached, gather_across_devices=True)
    return Plan(model, Stage(paired_with_themselves(rows), loss))


RECIPE = Recipe("simcse", {"rows": ("sentences",)}, Options, prepare)
