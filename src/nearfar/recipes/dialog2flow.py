"""Dialog2Flow: utterances that perform the same action are near, and those of similar actions nearly so.

Burdisso, Madikeri, Motlicek 2024, Dialog2Flow: Pre-training Soft-Contrastive Action-Driven Sentence Embeddings for
Automatic Dialog Flow Extraction (EMNLP 2024, arXiv 2410.18481).

Claim: sentence embeddings group utterances by topic; to read a workflow off dialogues they must be grouped by what they
do. Labels made of dialogue acts and slots teach that; and targets softened by how similar the labels' names are teach
it better than equal or not (few-shot macro F1 65.4 against 58.8 with one example, 70.9 against 67.8 with five).

    z = head(f(x)),  S_ij = cos(z_i, z+_j) / tau             (x_i, x+_i): two utterances with the label y_i
    soft: P_ij = exp(cos(l_yi, l_yj) / tau') / sum_k ...     l: frozen sentence embeddings of the labels' names
    hard: P_ij = [y_i = y_j] / number of such j
    loss = 1/2 [ CE(S, P) + CE(S^T, P) ]                     the same P both ways

`labels=single`: one label a turn, such as "inform price range, area". `labels=joint`: acts and slots apart, a data set
and a head each, one data set a step. The head, Linear-ReLU-Linear, has a learning rate of its own and is thrown away.

Rows are dialogues, or turns, with `acts` (and `slots`); or texts with a `label` that is a name. Texts are trained on
in lower case without punctuation (`clean`); the labels' rules stand in `nearfar.data.actions`.

Here: tau' = 0.1 where the authors have 0.35 with multi-qa-mpnet-base-dot-v1, and the label encoder is all-MiniLM-L6-v2:
at 0.35 it would leave an utterance's own label a tenth of the target. A softmax so flat also pulls all cosines together
(by tau/tau'), so choose tau' by looking at P rather than by copying it. Labels are used however few utterances they
have, where the authors ask for more than 100 (`min_count`). Plurals are undone by rule, not by WordNet. Joint: one
AdamW and random turns where they have one each and strict alternation; the larger data set is cut to the size of the
smaller once, not anew in each epoch. Warm-up is a part of the run, not 100 steps. Model selection by their evaluation
set, which is the set that they report, is left out. What a loss value means: it never falls below the entropy of P.
Not verifiable: the paper's tables, but for those seen in a copy; its sum of losses for joint is from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import Count, Positive, TrainingOptions, Whole
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.losses import LabelledPairsLoss


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of Dialog2Flow.

    Args:
        temperature: tau.
        targets: By the similarity of the labels' names, or by their being equal.
        label_temperature: tau'; the lower, the closer soft targets come to hard ones.
        label_encoder: The model that embeds the labels' names: a folder, a hub id or an alias.
        labels: One label a turn; or acts and slots apart, for dialogues alone.
        head: Width of the training head's output; 0: no head.
        head_learning_rate: The head's learning rate, as a multiple of `learning_rate`.
        symmetric: Half the loss with positives as anchors.
        min_count: Labels with no more utterances than that are left out; the authors: 100 (single).
        extend: Every label yields as many pairs as the largest: of acts in `joint`, as the authors do; of all; of none.
        sort_slots: Slots in alphabetical order, which is fairer to hard targets; the authors keep the turn's order.
        clean: Train on texts in lower case without punctuation.
    """

    epochs: float = 15.0
    learning_rate: float = 3e-6
    warmup_ratio: float = 0.01
    weight_decay: float = 0.01
    max_length: int = 64
    temperature: Positive = 0.05
    targets: Literal["soft", "hard"] = "soft"
    label_temperature: Positive = 0.1
    label_encoder: str = "minilm"
    labels: Literal["single", "joint"] = "single"
    head: Whole = 128
    head_learning_rate: Positive = 100.0
    symmetric: bool = True
    min_count: Count = 1
    extend: Literal["none", "acts", "all"] = "acts"
    sort_slots: bool = False
    clean: bool = True


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Label the turns, pair them by label, and give each set of pairs its targets and its head."""
    import torch
    from datasets import DatasetDict

    from nearfar.data.actions import labelled_utterances
    from nearfar.mining.labels import numbered, pair_sets

    seed = int(torch.randint(2**31, ()))
    sets, names = {}, {}
    for kind in ("action",) if options.labels == "single" else ("act", "slot"):
        texts, labels = labelled_utterances(
            rows,
            kind,
            more_than=options.min_count if kind == "action" else 1,
            sort_slots=options.sort_slots,
            clean=options.clean,
        )
        names[kind], numbers = numbered(labels)
        sets[kind] = texts, numbers

    extended = {"none": (), "acts": ("act",), "all": tuple(sets)}[options.extend]
    pairs = pair_sets(sets, extended, seed)
    losses = {kind: _loss(model, labels, options) for kind, labels in names.items()}
    rates = {r"(^|\.)training_head\.": options.head_learning_rate} if options.head else None
    if options.labels == "joint":
        return Plan(model, Stage(DatasetDict(**pairs), losses, "shuffled", learning_rates=rates))
    return Plan(model, Stage(pairs["action"], losses["action"], "shuffled", learning_rates=rates))


def _loss(model: SentenceTransformer, labels: list[str], options: Options) -> LabelledPairsLoss:
    from nearfar.losses import LabelledPairsLoss
    from nearfar.mining.labels import name_vectors
    from nearfar.models.projection import mlp_head

    return LabelledPairsLoss(
        model,
        name_vectors(labels, options.label_encoder) if options.targets == "soft" else None,
        options.label_temperature,
        mlp_head(model.get_embedding_dimension() or 0, options.head) if options.head else None,
        temperature=options.temperature,
        symmetric=options.symmetric,
        gather_across_devices=True,
    )


RECIPE = Recipe("dialog2flow", {"rows": ("dialogues", "turns", "labelled")}, Options, prepare)
