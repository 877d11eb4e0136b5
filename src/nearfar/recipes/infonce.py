"""InfoNCE: each anchor finds its positive among the positives of the whole batch.

Henderson et al. 2017, Efficient Natural Language Response Suggestion for Smart Reply (in-batch negatives for text);
van den Oord et al. 2018, Representation Learning with Contrastive Predictive Coding (the loss and its name);
Khosla et al. 2020, Supervised Contrastive Learning (rows with labels).

Claim: candidates that are there anyway serve as negatives, and more of them make a better encoder than a few.

    loss_i = -log( exp(cos(a_i, p_i)/tau) / sum_j exp(cos(a_i, c_j)/tau) ),  c: all positives and given negatives

Here: cosine with tau = 0.05 instead of Henderson's unscaled dot product, as sentence embeddings are trained today.
Pairs without labels, pairs with hard negatives, and labelled texts (equal labels attract) all fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.kinds.options import Positive, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of InfoNCE.

    Args:
        temperature: tau.
        symmetric: Half the loss with positives as anchors; pairs only.
        cached: Gradient cache: batches of thousands on little memory, at the cost of a second forward pass.
    """

    temperature: Positive = 0.05
    symmetric: bool = False
    cached: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Compose the loss for pairs or labelled texts."""
    from nearfar.data.labels import with_integer_labels
    from nearfar.losses import ContrastLoss

    loss = ContrastLoss(
        model,
        temperature=options.temperature,
        symmetric=options.symmetric,
        cached=options.cached,
        gather_across_devices=True,
    )
    if "label" in rows.column_names:
        if options.symmetric:
            problem = "both sides of labelled texts are the same"
            raise InputError(problem, field="symmetric", remedy="leave symmetric out, or give pairs")
        return Plan(model, Stage(with_integer_labels(rows), loss, batches="group_by_label"))
    return Plan(model, Stage(rows, loss))


RECIPE = Recipe("infonce", {"rows": ("pairs", "labelled")}, Options, prepare)
