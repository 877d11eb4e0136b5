"""Behaviour of the contrastive loss: the temperature decides how strongly hard negatives count; or choose explicitly.

Wang, Liu 2021, Understanding the Behaviour of Contrastive Loss (CVPR 2021).

Claim: the softmax pushes each negative away according to its similarity to the anchor, and the temperature alone sets
how much more the similar ones count. A low temperature spreads the vectors (uniformity) but separates texts with the
same meaning (little tolerance), a high one does the reverse; one in between is best. With the hardest negatives only,
the temperature has little effect, and even a linear loss works.

    contrastive   -log( exp(s_ii/tau) / (exp(s_ii/tau) + sum_k exp(s_ik/tau)) ),  k: all negatives of i
    hard          the same, k: the fraction alpha of i's negatives that is most similar to it
    simple        -s_ii + mean_k s_ik,  k: all negatives; the limit of large tau
    hard_simple   the same, k: the fraction alpha

Differences from the paper: texts, where the paper trains image encoders from scratch. Sentences without pairs are
encoded twice with dropout, where the paper crops and recolours images. Negatives come from the batch, where the paper's
alpha is a fraction of a memory bank: the default keeps 5 in a batch of 64. The simple losses weight their negatives by
1 / (number kept), as the limit does. The authors' code was not found and their hyper-parameters could not be checked:
alpha and tau are from memory.

`nearfar.geometry` measures uniformity, tolerance and the relative penalty of each negative. `nearfar sweep behaviour
--line loss=contrastive --line loss=hard` draws the three curves of the claim for your own labelled texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.kinds.options import ContrastOptions, Probability, Range
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of the four losses; `temperature` is tau, which the simple losses do not have.

    Args:
        loss: One of the four, see the formulas.
        alpha: Fraction of the negatives that the hard losses keep; at least one is kept.
        dropout: Dropout probability of the encoder in training, for sentences without pairs.
        symmetric: Average with the loss that has positives as anchors.
    """

    learning_rate: float = 3e-5
    max_length: int = 32
    temperature: float = 0.3
    loss: Literal["contrastive", "hard", "simple", "hard_simple"] = "hard"
    alpha: Annotated[float, Range(above=0, most=1)] = 0.0819
    dropout: Probability = 0.1
    symmetric: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Choose the negatives and how they are weighted."""
    from nearfar import far
    from nearfar.data.positives import paired_with_themselves
    from nearfar.engines.linear import Linear
    from nearfar.losses import ContrastLoss
    from nearfar.models.dropout import set_dropout

    if "text" in rows.column_names:
        set_dropout(model, options.dropout)
        rows = paired_with_themselves(rows)
    kept = far.hardest(options.alpha) if options.loss.startswith("hard") else None
    if not options.loss.endswith("simple"):
        loss = ContrastLoss(model, far=kept, symmetric=options.symmetric, **options.contrast)
    else:
        # The mean over negatives does not include the positive.
        kept = far.except_self() if kept is None else far.except_self() + kept
        loss = ContrastLoss(model, far=kept, symmetric=options.symmetric, engine=Linear(), **options.contrast)
    return Plan(model, Stage(rows, loss))


RECIPE = Recipe("behaviour", {"rows": ("sentences", "pairs")}, Options, prepare)
