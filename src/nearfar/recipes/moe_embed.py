"""Domain experts: one encoder with a copy of its feed-forward blocks for each domain; the domain chooses the copy.

Hallee, Kapur, Patel, Gleghorn, Khomtchouk 2024, Contrastive Learning and Mixture of Experts Enables Precise Vector
Embeddings.

Claim: to a general encoder, all texts of one narrow field look alike. Pairs that cost nothing, such as papers cited
together, separate the field; and one encoder with N experts under enforced routing is as good as N encoders, each
trained on its own domain, and better than one dense encoder trained on all domains.

    y_b = FFN_{e_b}(h_b)     e_b: the domain of text b; attention, norms and embeddings are shared; no gate
    loss = 1/2 [ CE(S / tau, diagonal) + CE(S^T / tau, diagonal) ]     S_ij = cos(a_i, p_j), pairs of all domains mixed

Every expert starts as a copy of the dense block, and each domain's token, which replaces [CLS], as a copy of [CLS]:
before training, all domains give the vectors of the dense encoder. The saved model is a `Router` of
sentence-transformers with one dense encoder per domain:

    SentenceTransformer("runs/moe_embed/model").encode(texts, task="banking")

Vectors of different domains are not comparable: use one index per domain. A text without a domain is encoded with the
mean of the experts' weights, or refused (`on_unknown`).

Differences from the paper: cosine with tau = 0.05, where the authors use dot products without normalization (with a
learned tau at first, later without); and the model's own pooling, where they train a new head. The target of a row in
their loss is the largest entry of the mean of both sides' similarities to themselves; for cosines without duplicates
this is the diagonal. Additions: labelled texts (the same label and domain attract), and negatives of the same domain
only (`in_domain`). Routing by a learned gate, which they also tried, is missing. That their test negatives are pairs of
the same field that nobody cites together is from memory. They stop training early by the split that they report;
nothing is chosen by a test split here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import ContrastOptions
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of domain experts.

    Args:
        symmetric: Average with the loss that has positives as anchors; pairs only.
        layers: Layers with experts: all, the middle one, or none (a dense encoder with domain tokens).
        in_domain: Use negatives of the anchor's own domain only.
        on_unknown: How the trained model encodes a text without a domain: with the mean of the experts, or not at all.
    """

    learning_rate: float = 1e-4
    batch_size: int = 16
    temperature: float = 0.05
    symmetric: bool = True
    layers: Literal["all", "middle", "none"] = "all"
    in_domain: bool = False
    on_unknown: Literal["mean-of-experts", "error"] = "mean-of-experts"


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Copy the feed-forward blocks, compose the loss, and save the model in a form that loads anywhere."""
    from nearfar.data.domains import with_domain_labels
    from nearfar.kinds.encoder import Encoder
    from nearfar.losses.domains import DomainLoss
    from nearfar.models.experts.domains import add_domain_experts
    from nearfar.models.experts.unrolled import save_unrolled

    labelled = "label" in rows.column_names
    rows, domains = with_domain_labels(rows)
    add_domain_experts(model, domains, options.layers, options.on_unknown)
    symmetric = options.symmetric and not labelled
    loss = DomainLoss(model, options.in_domain, symmetric=symmetric, **options.contrast)
    stage = Stage(rows, loss, batches="group_by_label" if labelled else "no_duplicates")
    return Plan(Encoder(model, save_unrolled), stage)


RECIPE = Recipe("moe_embed", {"rows": ("domain pairs", "domain labelled")}, Options, prepare)
