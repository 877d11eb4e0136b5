"""CLESS: labels are texts, so that any label can be asked; words of a text teach the model before any label does.

Rethmeier, Augenstein 2020, CLESS: Contrastive Label-Embedding Self-Supervision (arXiv 2010.01061).

Claim: a matcher of texts and label texts beats a classifier with one output for each label, most of all on rare labels.
Training with words of the texts as labels first helps rare labels further, and lets it judge labels it has never seen.

    m_il   = M([t_i ; l_l ; t_i * l_l])       t: text encoder, l: label encoder, M: one hidden layer
    loss_i = -1/c sum_l [ I_il log sigmoid(m_il) + (1 - I_il) log(1 - sigmoid(m_il)) ]

Near are labels of the text, far are labels of other texts in the batch that the text does not have itself.

Differences from the paper: the product t * l is an addition, without which (`matcher=plain`) small runs learn slowly. A
text is one maximum over places, a linear layer and ReLU, not the k largest and ReLU. Word vectors are not pretrained.
Frequent words are no pseudo-labels. Of hyper-parameters, the paper gives batch size and number of pseudo-labels only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, NonNegative, TrainingOptions, Whole
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of CLESS.

    Args:
        words: Epochs with words of the texts as labels, before those with their labels; 0: none.
        epochs: Epochs with the labels; 0: none, as for rows without labels.
        positives: Maximum number of labels of a text in one batch.
        negatives: Number of labels of other texts for each text in a batch.
        matcher: Input of the matcher: `product` is [t ; l ; t * l], `plain` is [t ; l].
        hidden: Width of the matcher.
        width: Dimensions of new encoders, without a model: a convolution for texts, the mean of words for labels.
        skip: Number of most frequent words that are not used as labels.
    """

    epochs: NonNegative = 8.0
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup_ratio: float = 0.0
    words: NonNegative = 8.0
    positives: Count = 5
    negatives: Count = 60
    matcher: Literal["product", "plain"] = "product"
    hidden: Count = 150
    width: Count = 100
    skip: Whole = 40


def prepare(name: str | Path | None, rows: Dataset, options: Options) -> Plan:
    """An encoder with a pair head; first words as labels, then the labels."""
    from nearfar.kinds.pair_scorer import PairScorer
    from nearfar.losses.label_matching import LabelMatchingLoss
    from nearfar.mining.pseudo_labels import rows_with_labels, word_labels
    from nearfar.models.label_counts import LabelCounts
    from nearfar.models.loading import load
    from nearfar.models.pairs.head import PairHead, PairHeadConfig
    from nearfar.models.pairs.top_layers import width
    from nearfar.models.word_encoder import word_encoder, words_of

    given = rows["labels"][:] if options.epochs and "labels" in rows.column_names else []
    words = word_labels(rows["text"], words_of, skip=options.skip) if options.words else []
    model = word_encoder([*rows["text"], *chain(*given)], width=options.width) if name is None else load(name)
    config = PairHeadConfig(width(model, 0), "binary", hidden=options.hidden, features=options.matcher, layers=0)
    head = PairHead(config).to(model.device)
    stages = []
    for part, labels, epochs in (("words", words, options.words), ("labels", given, options.epochs)):
        if labels:
            loss = LabelMatchingLoss(model, head, labels, options.positives, options.negatives)
            used = rows_with_labels(rows, labels, model)
            stages.append(Stage(used, loss, "shuffled", part, settings={"epochs": epochs}))
    if not stages:
        raise InputError("expected labels, or words=1 or more to learn from words", field="words")
    scorer = PairScorer(model, head, LabelCounts.of(given or words, options.negatives))
    return Plan(scorer, stages, shares=[stage.settings["epochs"] for stage in stages])


RECIPE = Recipe("cless", {"rows": ("label texts", "sentences")}, Options, prepare, model=None, makes_model=True)
