"""COCONUT: a classifier learns new labels, task by task, without forgetting the old ones.

Cappellazzo, Fini, Yang, Falavigna, Brutti, Raj 2024, Continual Contrastive Spoken Language Understanding (Findings of
ACL 2024, arXiv 2310.02699).

Claim: of a model that learns one set of intents after the other, rehearsal of a few old items alone keeps less than
rehearsal with a contrastive distillation (NSPT) and a contrast of new audio with its texts (MM).

    NSPT = mean_k -1/|P(k)| sum_{p in P(k)} log( exp(h_k . t_p / tau) / sum_i exp(h_k . h_i / tau) )
    MM   = mean_k, both ways, of the same with h_k . x_p above and h_k . x_i below
    loss = CE + nspt_weight NSPT + mm_weight MM

h: the model's vectors; t: those of the model as it was before the task; x: those of the texts. Anchors and positives of
NSPT are rehearsed items of one label; anchors of MM are new items; i runs over the batch. `negatives=teacher` is their
ablation NTPT. Baselines: `nspt_weight=0 mm_weight=0` is plain replay, `memory_share=0` in addition fine-tuning,
`offline=true` trains on all tasks at once. In the paper, plain replay with twice the buffer does better: try it first.

Differences from the paper: the class is the label whose learned vector is closest. Their decoder, which writes label,
slots and transcript, is added by `decoder_layers=2`; `distil_beams=4` is sequence distillation. Texts have a text
encoder, not the decoder's embeddings; texts alone are trained likewise, without MM. No authors' code was found: the
equations are partly reconstructed, and what was open in them are options.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.kinds.options import NonNegative, Positive, RehearsalOptions, SequenceOptions, TowerOptions, from_options
from nearfar.kinds.plan import Rehearsal
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import DatasetDict
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(RehearsalOptions, SequenceOptions, TowerOptions):
    """Hyper-parameters of COCONUT.

    Args:
        label_rate: Factor of `learning_rate` for the vectors of labels.
        untrained_rate: Factor of `learning_rate` for a tower with new weights, such as the `small-...` ones.
        class_temperature: Temperature of the softmax over labels.
        nspt_weight: Weight of NSPT; 0: no teacher.
        mm_weight: Weight of MM, for rows of files with texts.
        temperature: tau of NSPT and MM.
        negatives: Whose vectors are in the denominator of NSPT; `teacher`: NTPT.
        own_teacher: Whether the teacher's vector of the anchor itself is a positive.
        self_in_denominator: Whether the anchor itself is in the denominator.
        reduction: Of NSPT and MM over their anchors.
        label_in_text: Whether the label, in words, is put before each text of MM.
        offline: Train on all tasks at once.
    """

    epochs: float = 5.0
    batch_size: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.1
    label_rate: Positive = 10.0
    untrained_rate: Positive = 20.0
    class_temperature: Positive = 0.05
    nspt_weight: NonNegative = 0.1
    mm_weight: NonNegative = 0.1
    temperature: Positive = 0.1
    negatives: Literal["student", "teacher"] = "student"
    own_teacher: bool = True
    self_in_denominator: bool = True
    reduction: Literal["mean", "sum"] = "mean"
    label_in_text: bool = False
    offline: bool = False


def prepare(model: SentenceTransformer, tasks: DatasetDict, options: Options) -> Plan:
    """One stage for each task. When it ends, some of its rows and a copy of the model are kept."""
    from datasets import DatasetDict, concatenate_datasets

    from nearfar.data.media import decoded, medium_in
    from nearfar.kinds.classifier import Classifier
    from nearfar.losses import ContinualLoss, ContinualWeights
    from nearfar.mining.rehearsal import Quota, RehearsalBuffer, with_rehearsal
    from nearfar.models.towers.reading import reader_for

    every = concatenate_datasets(list(tasks.values()))
    if options.offline:
        tasks = DatasetDict({"all tasks": every})
    medium, weights = medium_in(every.column_names), from_options(ContinualWeights, options)
    rates = {r"^head\.": options.label_rate}
    if options.begins_untrained(model, medium):
        rates[rf"sub_modules\.{medium}\."] = options.untrained_rate
    options.add_tower(model, medium)
    learner = Classifier.without_labels(model, every, options.class_temperature)
    if options.decoder_layers:
        learner.add_decoder(next(iter(tasks.values())), options.vocabulary, options.decoder_layers)
        rates[r"^decoder\."] = options.untrained_rate
    quota = from_options(Quota, options, total_labels=options.total_labels or len(set(every["label"][:])))
    buffer = RehearsalBuffer(quota, options.selection, options.keep)
    texts = ["text"] if medium and weights.mm_weight and "text" in every.column_names else []
    columns, in_text = [medium or "text", *texts], options.label_in_text and bool(texts)

    def stages() -> Iterator[Stage]:
        teacher, share = None, options.rehearsal_share
        for name, new in tasks.items():
            learner.add_labels(new)
            old, names = buffer.rows, learner.labels
            targets = learner.targets(new, old, options.distil_beams)
            rows = with_rehearsal(new, old, names, columns, label_in_text=in_text, targets=targets)
            rows = rows if medium is None else decoded(rows, reader_for(model, medium))
            fixed = Rehearsal(len(old), share) if old is not None and share else None
            parts = learner.head, teacher, weights, options.class_temperature, learner.decoder, buffer.stored(names)
            loss = ContinualLoss(model, *parts)
            yield Stage(rows, loss, "shuffled", str(name), learning_rates=rates, rehearsal=fixed)
            buffer.add(str(name), new, learner.vectors_of(new) if buffer.needs_vectors else None)
            teacher = copy.deepcopy(model) if weights.nspt_weight and buffer.rows is not None else None

    grows = None if options.offline else options.grows
    return Plan(learner, stages(), count=len(tasks), finish=buffer.finish, grows=grows)


RECIPE = Recipe(
    "coconut",
    {"stream": ("audio + text", "audio + label", "image + text", "image + label", "labelled")},
    Options,
    prepare,
)
