"""Dialog2Flow: utterances that perform the same action are near, and those with similar actions partly so.

Burdisso, Madikeri, Motlicek 2024, Dialog2Flow: Pre-training Soft-Contrastive Action-Driven Sentence Embeddings for
Automatic Dialog Flow Extraction (EMNLP 2024, arXiv 2410.18481).

Claim: sentence embeddings group utterances by topic; to extract a workflow from dialogues they must be grouped by
action. Labels made of dialogue acts and slots teach this, and targets weighted by the similarity of the labels' names
teach it better than equal or not (few-shot macro F1 65.4 against 58.8 with one example, 70.9 against 67.8 with five).

    z = head(f(x)),  S_ij = cos(z_i, z+_j) / tau             (x_i, x+_i): two utterances with the label y_i
    soft: P_ij = exp(cos(l_yi, l_yj) / tau') / sum_k ...     l: frozen sentence embeddings of the labels' names
    hard: P_ij = [y_i = y_j] / number of such j
    loss = 1/2 [ CE(S, P) + CE(S^T, P) ]                     the same P in both directions; at least the entropy of P

`labels=single`: one label per turn, such as "inform price range, area". `labels=joint`: acts and slots are two datasets
with a head each, and each step is of one of them. The head, Linear-ReLU-Linear, has its own learning rate and is
discarded after training. Rows are dialogues or turns with `acts` (and `slots`), or texts whose `label` is a name. The
rules for labels are in `nearfar.data.actions`.

Differences from the paper: tau' = 0.1 with all-MiniLM-L6-v2, where the authors have 0.35 with another label encoder,
multi-qa-mpnet-base-dot-v1: 0.35 would leave an utterance's own label a tenth of the target, and so flat a softmax pulls
all cosines together (by tau/tau'); look at P to choose tau'. Labels with few utterances are used too, where the authors
require more than 100 (`min_count`). Plurals are removed by rules, not by WordNet. Joint: one AdamW and random turns,
where they have two and strict alternation; the larger dataset is cut to the size of the smaller once, not in each
epoch. The warm-up is a fraction of the run, not 100 steps. They select a model by the evaluation set that they report;
nothing is selected here. Not verifiable: the paper's tables, except those seen in a copy; its sum of losses for joint
is from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import Count, Positive, TrainingOptions, Whole
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of Dialog2Flow.

    Args:
        temperature: tau.
        targets: `soft`: by the similarity of the labels' names; `hard`: equal labels only.
        label_temperature: tau'; soft targets become harder as it falls.
        label_encoder: Model that embeds the labels' names: a folder, a hub id or an alias.
        labels: `single`: one label per turn; `joint`: acts and slots apart, for dialogues and turns only.
        head: Output width of the training head; 0: no head.
        head_learning_rate: Learning rate of the head as a factor of `learning_rate`.
        symmetric: Average with the loss that has positives as anchors.
        min_count: Labels with this many utterances or fewer are dropped; the authors: 100 (single).
        extend: Labels with as many pairs as the largest: those of `acts` in joint, as the authors do; all; none.
        sort_slots: Sort slots alphabetically, which is fairer to hard targets; the authors keep the turn's order.
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
    """Pair utterances by label; each kind of label gets its own targets and head."""
    import torch
    from datasets import DatasetDict

    from nearfar.losses import LabelledPairsLoss
    from nearfar.mining.labels import name_vectors, utterance_pairs
    from nearfar.models.projection import mlp_head

    single = options.labels == "single"
    kinds = ("action",) if single else ("act", "slot")
    pairs, names = utterance_pairs(
        rows,
        kinds,
        more_than=options.min_count if single else 1,
        sort_slots=options.sort_slots,
        clean=options.clean,
        extended={"none": (), "acts": ("act",), "all": kinds}[options.extend],
        seed=int(torch.randint(2**31, ())),
    )
    losses = {}
    settings = {"temperature": options.temperature, "symmetric": options.symmetric, "gather_across_devices": True}
    for kind, labels in names.items():
        vectors = name_vectors(labels, options.label_encoder) if options.targets == "soft" else None
        head = mlp_head(model.get_embedding_dimension() or 0, options.head) if options.head else None
        losses[kind] = LabelledPairsLoss(model, vectors, options.label_temperature, head, **settings)
    rates = {r"(^|\.)training_head\.": options.head_learning_rate} if options.head else None
    if single:
        return Plan(model, Stage(pairs["action"], losses["action"], "shuffled", learning_rates=rates))
    return Plan(model, Stage(DatasetDict(**pairs), losses, "shuffled", learning_rates=rates))


RECIPE = Recipe("dialog2flow", {"rows": ("dialogues", "turns", "labelled")}, Options, prepare)
