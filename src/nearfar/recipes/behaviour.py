"""Behaviour of the contrastive loss: temperature decides how hard a negative must be to matter; or say so explicitly.

Wang, Liu 2021, Understanding the Behaviour of Contrastive Loss (CVPR 2021).

Claim: the softmax pushes each negative by its hardness, and the temperature alone sets how sharply. A small one spreads
the vectors (uniformity) but parts what means the same (little tolerance), a large one the reverse; one between is best.
Where only the hardest negatives are kept, the temperature hardly matters any more, and even a linear loss works.

    contrastive   -log( exp(s_ii/tau) / (exp(s_ii/tau) + sum_k exp(s_ik/tau)) ),  k: all negatives of i
    hard          the same, k: the fraction alpha of i's negatives that is most similar to it
    simple        -s_ii + mean_k s_ik,  k: all negatives; the limit of large tau
    hard_simple   the same, k: the fraction alpha

Here: texts, where the paper trains image encoders from scratch; sentences alone are seen twice through dropout, where
the paper crops and recolours. Negatives are the batch's, where the paper's alpha is a part of a memory bank: with the
default, 5 of a batch of 64. The simple losses weigh their negatives by 1 / (number kept), as the limit says. No code of
the authors was found, and their hyper-parameters could not be checked: alpha and tau below are as remembered.

`nearfar.geometry` measures uniformity, tolerance, the relative penalty of each negative and how many of them count.
`nearfar sweep behaviour --line loss=contrastive --line loss=hard` draws the three curves of the claim for your own
labelled texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.kinds.options import Positive, Probability, Range, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


Loss = Literal["contrastive", "hard", "simple", "hard_simple"]


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of the four losses.

    Args:
        loss: Which of them, see the formulas.
        temperature: tau; the simple losses have none.
        alpha: Part of the negatives that the hard losses keep; at least one is kept.
        dropout: Probability in the encoder during training, which makes the two views of sentences without pairs.
        symmetric: Half the loss with positives as anchors.
        cached: Gradient cache, for batches that do not fit.
    """

    learning_rate: float = 3e-5
    max_length: int = 32
    loss: Loss = "hard"
    temperature: Positive = 0.3
    alpha: Annotated[float, Range(above=0, most=1)] = 0.0819
    dropout: Probability = 0.1
    symmetric: bool = False
    cached: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Choose the negatives and how they are weighed."""
    from nearfar import far
    from nearfar.data.positives import paired_with_themselves
    from nearfar.engines.linear import Linear
    from nearfar.losses import ContrastLoss
    from nearfar.models.dropout import set_dropout

    if "text" in rows.column_names:
        set_dropout(model, options.dropout)
        rows = paired_with_themselves(rows)
    kept = far.hardest(options.alpha) if options.loss.startswith("hard") else None
    linear = options.loss.endswith("simple")
    if linear:
        # The mean of the simple losses is over negatives alone.
        kept = far.except_self() if kept is None else far.except_self() + kept
    loss = ContrastLoss(
        model,
        far=kept,
        temperature=options.temperature,
        symmetric=options.symmetric,
        engine=Linear() if linear else "auto",
        cached=options.cached,
        gather_across_devices=True,
    )
    return Plan(model, Stage(rows, loss))


RECIPE = Recipe("behaviour", {"rows": ("sentences", "pairs")}, Options, prepare)
