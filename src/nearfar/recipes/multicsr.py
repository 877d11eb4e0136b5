"""MultiCSR: triplets from a language model, refined when they are written, when they are kept, and when they train.

Wang, Li, Cheng, Soh, Bing 2024, Large Language Models can Contrastively Refine their Generation for Better Sentence
Representation Learning (NAACL 2024).

Claim: at equal generator and budget, refined triplets and a refined loss make a better encoder than the raw ones.

    1. nearfar refine generate: each token maximises l_t - omega l'_t, l' under the opposite instruction
    2. nearfar refine filter:   keep a triplet if a >= alpha, b <= beta and a >= b + gamma; a, b: scores of its pairs
    3. this recipe:             loss_i = -log( exp(s_ii) / sum_j G_ij exp(s_ij) ),  s = cos / tau
                                G_ij = 0 where a frozen guide's cosine of anchor i and candidate j is above phi, j != i;
                                candidates are the positives, then the negatives, of the batch

Here: the filter's scores are five times the cosine of a sentence encoder unless a language model is named; in the paper
the generator scores what it wrote, which small ones cannot. The model's own pooling is kept, where the authors train a
BERT [CLS] vector with an extra layer that they throw away afterwards. The guide is the model itself as it was before
training, unless another is named; theirs is the released unsupervised SimCSE, for which phi = 0.95 was chosen: cosines
of other guides lie elsewhere. Texts that occur twice never share a batch, so the easiest false negatives are gone
before the guide looks. `variant=official` is what the authors' code computes instead: a masked candidate counts
exp(0), and binary cross-entropy judges every entry.

Not verifiable: stage 1 was never released (it follows the figure of the paper), and its omega is not given.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import Positive, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.far import Far
    from nearfar.losses import Batch

#: No cosine, however rounded, is above it.
NO_MASK = 2.0


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of MultiCSR's training, the authors' for BERT-base.

    Args:
        temperature: tau.
        phi: Candidates above this cosine with the anchor under the guide are suspected false negatives; 2: none are.
        guide: A frozen model by name; empty: the model in training, as it is before.
        variant: `paper`, or `official` for the loss of the released code.
        cached: Gradient cache, for batches that do not fit.
    """

    epochs: float = 3.0
    batch_size: int = 128
    learning_rate: float = 5e-5
    max_length: int = 32
    temperature: Positive = 0.05
    phi: float = 0.95
    guide: str = ""
    variant: Literal["paper", "official"] = "paper"
    cached: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Mask suspected false negatives of the batch, as the guide sees them."""
    from nearfar.far import except_likely_positives
    from nearfar.losses import ContrastLoss
    from nearfar.losses.entrywise import EntrywiseLoss
    from nearfar.models import load

    guide = None
    if options.phi < NO_MASK:
        guide = load(options.guide, device=str(model.device)) if options.guide else copy.deepcopy(model)

    def suspected(batch: Batch) -> Far | None:
        if batch.guide_anchors is None or batch.guide_candidates is None:
            return None
        return except_likely_positives(batch.guide_anchors, batch.guide_candidates, threshold=options.phi)

    common = {"temperature": options.temperature, "cached": options.cached}
    if options.variant == "official":
        return Plan(model, Stage(rows, EntrywiseLoss(model, guide, options.phi, **common)))
    return Plan(
        model, Stage(rows, ContrastLoss(model, far=suspected, guide=guide, gather_across_devices=True, **common))
    )


RECIPE = Recipe("multicsr", {"rows": ("pairs",)}, Options, prepare)
