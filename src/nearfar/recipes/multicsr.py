"""MultiCSR: triplets from a language model, refined when they are generated, filtered, and used in training.

Wang, Li, Cheng, Soh, Bing 2024, Large Language Models can Contrastively Refine their Generation for Better Sentence
Representation Learning (NAACL 2024).

Claim: with the same generator and budget, refined triplets and a refined loss train a better encoder than raw ones.

    1. nearfar refine generate: each token maximises l_t - omega l'_t, l' under the opposite instruction
    2. nearfar refine filter:   keep a triplet if a >= alpha, b <= beta and a >= b + gamma; a, b: scores of its pairs
    3. this recipe:             loss_i = -log( exp(s_ii) / sum_j G_ij exp(s_ij) ),  s = cos / tau
                                G_ij = 0 where a frozen guide's cosine of anchor i and candidate j is above phi, j != i;
                                candidates are the positives, then the negatives, of the batch

Differences from the paper: the filter's scores are five times the cosine of a sentence encoder unless a language model
is named; in the paper the generator scores its own texts, which small ones cannot do. The model's own pooling is kept,
where the authors train a BERT [CLS] vector with an extra layer that they discard afterwards. The guide is the model as
it is before training, unless another is named; theirs is the released unsupervised SimCSE, for which phi = 0.95 was
chosen: other guides have other cosines. Duplicate texts are never in the same batch, so the easiest false negatives are
removed before the guide is asked. `variant=official` is the loss of the authors' code: a masked candidate counts as
exp(0), and each entry has a binary cross-entropy.

Not verifiable: stage 1 was never released (it follows the figure of the paper), and its omega is not given.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import ContrastOptions
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.far import Far
    from nearfar.losses import Batch

#: Above every cosine, with rounding errors.
NO_MASK = 2.0


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of MultiCSR's training, the authors' for BERT-base.

    Args:
        phi: Guide's cosine above which a candidate counts as a false negative and is masked; 2: no mask.
        guide: Name of a frozen model; empty: the model in training, as it is before training.
        variant: `paper`, or `official` for the loss of the released code.
    """

    epochs: float = 3.0
    batch_size: int = 128
    learning_rate: float = 5e-5
    max_length: int = 32
    temperature: float = 0.05
    phi: float = 0.95
    guide: str = ""
    variant: Literal["paper", "official"] = "paper"


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Mask the candidates of a batch that the guide finds too similar to the anchor."""
    from nearfar.far import except_likely_positives
    from nearfar.kinds._processes import processes
    from nearfar.losses import ContrastLoss, EntrywiseLoss
    from nearfar.models import load

    guide = None
    if options.phi < NO_MASK:
        guide = load(options.guide, device=str(model.device)) if options.guide else copy.deepcopy(model)
    if options.variant == "official":
        if processes() > 1:
            problem = "the loss of the authors' code is for training in one process"
            raise InputError(problem, field="variant", remedy="use variant=paper, or one process")
        loss = EntrywiseLoss(model, guide, options.phi, temperature=options.temperature, cached=options.cached)
        return Plan(model, Stage(rows, loss))

    def suspected(batch: Batch) -> Far | None:
        if batch.guide_anchors is None or batch.guide_candidates is None:
            return None
        return except_likely_positives(batch.guide_anchors, batch.guide_candidates, threshold=options.phi)

    return Plan(model, Stage(rows, ContrastLoss(model, far=suspected, guide=guide, **options.contrast)))


RECIPE = Recipe("multicsr", {"rows": ("pairs",)}, Options, prepare)
