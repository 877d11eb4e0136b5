"""CLESS: labels are texts, so that any label can be asked; words of a text teach the model before any label does.

Rethmeier, Augenstein 2020, Contrastive Label-Embedding Self-Supervision (arXiv 2010.01061); the taxonomy of such
methods is in Rethmeier, Augenstein 2021, A Primer on Contrastive Pretraining in Language Processing (arXiv 2102.12982).

Claim: a matcher of texts and label texts beats a classifier with one output for each label, most of all on rare labels.
Training it first with words of the texts as labels helps further on rare labels, and lets it judge labels that it has
never seen.

    m_il   = M([t_i ; l_l ; t_i * l_l])       t: text encoder, l: label encoder, M: one hidden layer
    loss_i = -1/c sum_l [ I_il log sigmoid(m_il) + (1 - I_il) log(1 - sigmoid(m_il)) ]

Near are labels of the text, far are labels of other texts in the batch that the text does not have itself. Without a
model, both encoders are new: words with a convolution for texts, the mean of word vectors for labels.

Differences from the paper: the product t * l is an addition; without it (`matcher=plain`) small runs learn slowly. A
text is one maximum over places, a linear layer and ReLU; theirs is the k largest and ReLU. Word vectors are not
pretrained. Frequent words are no pseudo-labels. The paper's hyper-parameters are not known but for batch size and the
number of pseudo-labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, NonNegative, Positive, TrainingOptions, Whole
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of CLESS.

    Args:
        words: Epochs with words of the texts as labels, before those with their labels; 0: none.
        epochs: Epochs with the labels; rows without labels have only the former.
        positives: Most labels of a text in one batch.
        negatives: Labels of other texts for each text in a batch.
        matcher: Input of the matcher: `product` is [t ; l ; t * l], `plain` is [t ; l].
        hidden: Width of the matcher.
        width: Dimensions of the new encoders.
        skip: Number of most frequent words that are no labels.
    """

    epochs: Positive = 8.0
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
    from nearfar.mining.pseudo_labels import word_labels
    from nearfar.models.loading import load
    from nearfar.models.pairs.head import PairHead, PairHeadConfig
    from nearfar.models.word_encoder import knows, word_encoder, words_of

    texts = list(rows["text"])
    given = list(rows["labels"]) if "labels" in rows.column_names else None
    if given is None and not options.words:
        raise InputError("expected labels, or words=1 or more to learn from words", field="words")
    known = [label for row in given or () for label in row]
    model = word_encoder([*texts, *known], width=options.width) if name is None else load(name)
    width = int(model.get_embedding_dimension() or 0)
    config = PairHeadConfig(width, "binary", hidden=options.hidden, features=options.matcher, layers=0)
    head = PairHead(config).to(model.device)
    stages, shares = [], []
    for part, labels, epochs in (
        ("words", word_labels(texts, words_of, skip=options.skip), options.words),
        ("labels", given, options.epochs),
    ):
        if labels is None or not epochs:
            continue
        used = [number for number, row in enumerate(labels) if row and knows(model, texts[number])]
        if not used:
            raise InputError(f"no text has {part} to learn from", field="text", remedy="use longer texts, or skip=0")
        kept = rows.select(used).select_columns(["text"]).add_column("label", list(range(len(used))))
        loss = LabelMatchingLoss(model, head, [labels[n] for n in used], options.positives, options.negatives)
        stages.append(Stage(kept, loss, "shuffled", name=part, settings={"epochs": float(epochs)}))
        shares.append(float(epochs))
    return Plan(PairScorer(model, head), stages, shares=shares)


RECIPE = Recipe("cless", {"rows": ("label texts", "sentences")}, Options, prepare, model=None, makes_model=True)
