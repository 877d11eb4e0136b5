"""InfoNCE: each anchor finds its positive among the positives of the whole batch.

Henderson et al. 2017, Efficient Natural Language Response Suggestion for Smart Reply (in-batch negatives for text);
van den Oord et al. 2018, Representation Learning with Contrastive Predictive Coding (the loss and its name);
Khosla et al. 2020, Supervised Contrastive Learning (rows with labels).

Claim: the other candidates of the batch serve as negatives at no cost, and many of them train a better encoder than a
few.

    loss_i = -log( exp(cos(a_i, p_i)/tau) / sum_j exp(cos(a_i, c_j)/tau) ),  c: all positives and given negatives

Differences from the papers: cosine with tau = 0.05 instead of Henderson's unscaled dot product, as sentence embeddings
are trained today. Rows are pairs, pairs with hard negatives, or labelled texts (the same label attracts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.kinds.options import ContrastOptions
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of InfoNCE.

    Args:
        symmetric: Average with the loss that has positives as anchors; pairs only.
    """

    temperature: float = 0.05
    symmetric: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Compose the loss for pairs or labelled texts."""
    from nearfar.data.labels import with_integer_labels
    from nearfar.losses import ContrastLoss

    loss = ContrastLoss(model, symmetric=options.symmetric, **options.contrast)
    if "label" not in rows.column_names:
        return Plan(model, Stage(rows, loss))
    if options.symmetric:
        problem = "expected pairs, got labelled texts, whose two sides are the same"
        raise InputError(problem, field="symmetric", remedy="remove symmetric, or use pairs")
    return Plan(model, Stage(with_integer_labels(rows), loss, batches="group_by_label"))


RECIPE = Recipe("infonce", {"rows": ("pairs", "labelled")}, Options, prepare)
