"""Qwen3 Embedding's loss: queries and documents of other rows in one denominator, likely false negatives masked.

Zhang, Li, Long, Zhang, Lin, Yang, Xie, Yang, Liu, Lin, Huang, Zhou 2025, Qwen3 Embedding: Advancing Text Embedding and
Reranking Through Foundation Models (arXiv 2506.05176).

Claim: the report has no ablation of its loss. What it says by its choice, and what is tested here, is that these blocks
and the mask train a better encoder than InfoNCE over the documents of the batch alone.

    loss_i = -log( exp(s(q_i, d_i)/tau) / Z_i ),  s: cosine
    Z_i = exp(s(q_i, d_i)/tau) + sum_k m_ik exp(s(q_i, n_ik)/tau)                              n: hard negatives
        + sum_{j != i} m_ij [ exp(s(q_i, q_j)/tau) + exp(s(d_i, c_j)/tau) + exp(s(q_i, c_j)/tau) ]
    m_ij = 0 if the similarity beside it is above s(q_i, d_i) + margin, or the text equals d_i or q_i; otherwise 1

The model in training judges its own negatives. Near is a query's own document; far are the other texts of the batch.

Differences from the paper: c_j are the positives and hard negatives of other rows, as in the training code that the
authors point to; the report does not say which documents they are. Equal queries are no negatives either. The
temperature is not in the report. Any encoder is trained, with all its weights; the authors train a language model with
LoRA, on synthetic pairs and then on labelled ones, and merge checkpoints (here `nearfar fuse`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.kinds.options import ContrastOptions, NonNegative
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of Qwen3 Embedding's loss.

    Args:
        query_query: Queries of other rows are in the denominator.
        document_document: Similarities of the positive to documents of other rows are in the denominator.
        mask: Likely false negatives, by the similarities of the model itself, are not.
        margin: How much more similar than the positive they are.
    """

    query_query: bool = True
    document_document: bool = True
    mask: bool = True
    margin: NonNegative = 0.1


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Compose the loss; equal texts may be in one batch, because it knows them."""
    from nearfar.data.labels import with_text_numbers
    from nearfar.losses import JointDenominatorLoss

    margin = options.margin if options.mask else None
    loss = JointDenominatorLoss(model, options.query_query, options.document_document, margin, **options.contrast)
    return Plan(model, Stage(with_text_numbers(rows), loss, batches="shuffled"))


RECIPE = Recipe("qwen3_embedding", {"rows": ("pairs",)}, Options, prepare)
