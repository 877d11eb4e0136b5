"""SimCSE, unsupervised: a sentence is its own positive, encoded twice with different dropout masks.

Gao, Yao, Chen 2021, SimCSE: Simple Contrastive Learning of Sentence Embeddings (EMNLP 2021).

Claim: dropout is enough augmentation. Training on plain sentences improves semantic similarity well beyond the
pre-trained encoder, and the same objective without dropout (two identical views) is worse.

    loss_i = -log( exp(cos(h_i, h'_i)/tau) / sum_j exp(cos(h_i, h'_j)/tau) ),  h, h': two passes over the same sentence

Differences from the paper: the model's own pooling is kept, where the authors train a BERT [CLS] vector with an extra
layer that they discard afterwards. Duplicate sentences are never in the same batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.kinds.options import ContrastOptions, Probability
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of unsupervised SimCSE, the paper's for BERT-base.

    Args:
        dropout: Dropout probability of the encoder in training.
    """

    learning_rate: float = 3e-5
    max_length: int = 32
    temperature: float = 0.05
    dropout: Probability = 0.1


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Pair every sentence with itself; dropout makes the two views differ."""
    from nearfar.data.positives import paired_with_themselves
    from nearfar.losses import ContrastLoss
    from nearfar.models.dropout import set_dropout

    set_dropout(model, options.dropout)
    return Plan(model, Stage(paired_with_themselves(rows), ContrastLoss(model, **options.contrast)))


RECIPE = Recipe("simcse", {"rows": ("sentences",)}, Options, prepare)
