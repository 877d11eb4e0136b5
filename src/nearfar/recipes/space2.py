"""SPACE-2: dialogues are near as far as the trees of their annotations overlap.

He, Dai, Hui, Yang, Cao, Dong, Huang, Si, Li 2022, SPACE-2: Tree-Structured Semi-Supervised Contrastive Pre-training
for Task-Oriented Dialog Understanding (COLING 2022, arXiv 2209.06638).

Claim: contrastive pre-training takes every other dialogue for a negative, although many share a part of their meaning.
Soft positives from the overlap of annotation trees, with unlabelled dialogues beside them, understand dialogues better.

    A_v: the elements of a tree domain -> act -> slot -> value in view v, of ten: its nodes, edges and longer paths
    w^v_ij = |A_iv & A_jv| / |A_iv | A_jv|,  1 for the two vectors of a text (two dropout masks)
    L = mean_v [ mean_i sum_j P^v_ij -log softmax_j( cos(z^v_i, z^v_j) / tau ) ] + 0.1 L_mlm,   P^v_ij = w^v_ij / sum_l

z^v is a head of the encoder's vector, discarded after training. `targets=combined` has one head and the mean of w^v
over the views in which one of both trees has elements; `equal` has equal trees alone as positives (SupCon). Texts
without annotation get the same loss with w = identity (NT-Xent), in batches of their own. L_mlm, masked language
modelling, is for encoders whose checkpoint contains its head.

Pass each dataset with its own `--data`: dialogues, turns, texts with labels (intents), or texts alone. `--map FILE`
gives their names a common vocabulary; without it, one is proposed by the similarity of names and written to `map.csv`
in the run folder.

Differences from the paper: a text is one turn, without the dialogue before it, roles and positions of turns; its vector
is that of the model's own pooling. A step is of one dataset or of unlabelled texts, where theirs adds a batch of each;
datasets come in random order, not one after the other. Masks are random in all turns, not on the values of slots. Equal
texts are never in the same batch of unlabelled ones. Acts that are given without frames each have all slots of the
turn. The paper's text could not be read: losses and numbers follow the authors' code. Its DialoGLUE table, with three
million labelled turns, is not verifiable here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nearfar.kinds.options import Count, NonNegative, Positive, Probability, TrainingOptions
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of SPACE-2, those of the authors' scripts.

    Args:
        batch_size: Texts of one dataset, or unlabelled texts.
        temperature: tau.
        targets: `views`: a head and a loss for each view; `combined`: one for all views; `equal`: equal trees only.
        head: Output width of each head.
        dropout: Dropout probability of the encoder in training.
        mlm: Weight of masked language modelling; 0: none.
        map: CSV file with common names for the annotations (dataset,level,name,common); empty: one is proposed.
        gradient_clip: Maximum gradient norm.
    """

    epochs: float = 60.0
    batch_size: int = 128
    learning_rate: float = 1e-5
    max_length: int = 50
    temperature: Positive = 0.07
    targets: Literal["views", "combined", "equal"] = "views"
    head: Count = 768
    dropout: Probability = 0.2
    mlm: NonNegative = 0.1
    map: str = ""
    gradient_clip: Positive = 5.0


def prepare(model: SentenceTransformer, rows: Dataset | DatasetDict, options: Options) -> Plan:
    """Pair every text with itself, and compare the annotation trees of a batch."""
    from datasets import DatasetDict

    from nearfar.data.label_map import LabelMap
    from nearfar.data.trees import annotated_texts
    from nearfar.kinds._processes import is_main_process
    from nearfar.losses.annotation_trees import TreeLoss
    from nearfar.losses.masked import MaskedLanguageLoss
    from nearfar.mining.streams import UNLABELLED, semi_supervised
    from nearfar.models.dropout import set_dropout
    from nearfar.models.masked_head import masked_head

    named = {str(name): part for name, part in rows.items()} if isinstance(rows, DatasetDict) else {"rows": rows}
    texts, trees = {}, {}
    for name, part in named.items():
        texts[name], trees[name] = annotated_texts(part)
    labels = LabelMap.read(options.map, trees) if options.map else LabelMap.proposed(trees)
    trees = {name: labels.applied(name, own) for name, own in trees.items()}
    streams = semi_supervised(texts, trees, options.batch_size)
    head = masked_head(model) if options.mlm else None
    if options.mlm and head is None:
        logger.warning("the encoder's checkpoint has no head of masked language modelling: trained without it")
    masked = None if head is None else MaskedLanguageLoss(head, model.tokenizer)
    set_dropout(model, options.dropout)
    settings = {"temperature": options.temperature, "gather_across_devices": True}
    flat = [tree for own in trees.values() for tree in own]
    loss = TreeLoss(model, flat, options.targets, options.head, masked, options.mlm, **settings)

    def finish(folder: Path, _: Any) -> dict[str, Any]:
        file = folder / "map.csv"
        if is_main_process():
            labels.write(file)
            said = (
                "%d names of annotations were taken for another one by similarity, see %s; edit it and pass it as --map"
            )
            logger.warning(said, labels.joined, file)
        return {"names_joined": labels.joined}

    batches: Any = {name: "no_duplicates" if name == UNLABELLED else "shuffled" for name in streams}
    return Plan(model, Stage(streams, loss, batches), finish=None if options.map or len(named) == 1 else finish)


RECIPE = Recipe(
    "space2",
    {"rows": ("domain dialogues", "dialogues", "domain turns", "turns", "domain labelled", "labelled", "sentences")},
    Options,
    prepare,
    multi_dataset=True,
)
