"""Domain experts: one encoder whose feed-forward blocks are copied once a domain, and the domain says which one runs.

Hallee, Kapur, Patel, Gleghorn, Khomtchouk 2024, Contrastive Learning and Mixture of Experts Enables Precise Vector
Embeddings.

Claim: inside one narrow field all texts look alike to a general encoder. Pairs that come free, such as papers cited
together, separate the field; and one encoder with N experts under enforced routing does the work of N encoders, each
tuned to its own domain, where a dense encoder tuned to all domains at once does less.

    y_b = FFN_{e_b}(h_b)     e_b: the domain of text b; attention, norms and embeddings are shared; no gate
    loss = 1/2 [ CE(S / tau, diagonal) + CE(S^T / tau, diagonal) ]     S_ij = cos(a_i, p_j), pairs of all domains mixed

Every expert starts as a copy of the dense block, and the token of every domain, which stands where [CLS] stood, as a
copy of [CLS]: before training all domains answer what the dense encoder answered. One expert runs for a text.

Rows carry a column `domain`. The saved model is a `Router` of sentence-transformers, one dense encoder a domain:

    SentenceTransformer("runs/moe_embed/model").encode(texts, task="banking")

Vectors of two domains are not made to be compared: keep an index to one domain. A text without a domain goes through
the mean of the experts' weights, or is refused (`on_unknown`).

What differs from the paper. Cosine with tau = 0.05, where the authors take dot products of vectors that are not
normalised (with a learned tau at first, later without); and the model's own pooling, where they train a new head. Their
loss aims each row at the largest entry of the mean of both sides' similarities to themselves, not at the diagonal: for
cosines without duplicates that entry is the diagonal. Labelled texts (equal label and domain attract) and negatives
from the own domain alone (`in_domain`) are additions. Routing by a learned gate, which the authors tried too, is left
out. That their negatives for testing are pairs of the same field that nobody cites together is from memory. The authors
stopped training early by the split that they report; nothing is chosen by a test split here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import Positive, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of domain experts.

    Args:
        temperature: tau.
        symmetric: Half the loss with positives as anchors; pairs only.
        layers: Which layers get experts: all, the middle one, or none (a dense encoder with domain tokens).
        in_domain: Negatives come from the anchor's own domain alone.
        on_unknown: What becomes of a text without a domain once the model is trained.
        cached: Gradient cache, for batches that do not fit.
    """

    learning_rate: float = 1e-4
    batch_size: int = 16
    temperature: Positive = 0.05
    symmetric: bool = True
    layers: Literal["all", "middle", "none"] = "all"
    in_domain: bool = False
    on_unknown: Literal["mean-of-experts", "error"] = "mean-of-experts"
    cached: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Copy the feed-forward blocks, compose the loss, and save the result so that it loads anywhere."""
    from nearfar.data.domains import with_domain_labels
    from nearfar.kinds.encoder import Encoder
    from nearfar.losses.domains import DomainLoss
    from nearfar.models.experts.domains import add_domain_experts
    from nearfar.models.experts.unrolled import save_unrolled

    labelled = "label" in rows.column_names
    rows, domains = with_domain_labels(rows)
    add_domain_experts(model, domains, options.layers, options.on_unknown)
    loss = DomainLoss(
        model,
        in_domain=options.in_domain,
        temperature=options.temperature,
        symmetric=options.symmetric and not labelled,
        cached=options.cached,
        # A mask is drawn over the candidates of this process.
        gather_across_devices=not options.in_domain,
    )
    batches = "group_by_label" if labelled else "no_duplicates"
    return Plan(Encoder(model, save_unrolled), Stage(rows, loss, batches=batches))


RECIPE = Recipe("moe_embed", {"rows": ("domain pairs", "domain labelled")}, Options, prepare)
