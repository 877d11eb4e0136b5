"""Recipes in a file of the user's own, one for each kind of model that no built-in recipe trains."""

from __future__ import annotations

#: Of the cases.
NAMES = (
    "encoder",
    "two towers",
    "pair scorer",
    "reranker",
    "yes or no",
    "causal LM",
    "seq2seq LM",
    "vision-language LM",
    "stages",
    "noise",
    "stream",
    "classifier",
)

RERANKER = '''
"""Scores of pairs, learned by a cross-encoder."""

from nearfar.kinds.options import TrainingOptions
from nearfar.recipes import Plan, Recipe, Stage


def prepare(model, rows, options):
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    return Plan(model, Stage(rows, BinaryCrossEntropyLoss(model), batches="shuffled"))


RECIPE = Recipe("tiny_reranker", {"rows": ("scored pairs",)}, TrainingOptions, prepare, trains="reranker")
'''

SEQ2SEQ = '''
"""Targets from sources."""

from nearfar.kinds.options import LanguageOptions
from nearfar.recipes import Plan, Recipe, Stage


def prepare(model, rows, options):
    from nearfar.losses.language import LanguageLoss

    return Plan(model, Stage(rows.select_columns(["anchor", "positive"]), LanguageLoss()))


RECIPE = Recipe("tiny_seq2seq", {"rows": ("pairs",)}, LanguageOptions, prepare, trains="seq2seq LM", model=None)
'''

STAGED = '''
"""Three stages of InfoNCE, each from what the last one found, moved back halfway to the start."""

from dataclasses import dataclass

from nearfar.kinds.options import Count, TrainingOptions
from nearfar.recipes import Plan, Recipe, Stage


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Options.

    Args:
        tasks: How many stages.
    """

    tasks: Count = 3


def prepare(model, rows, options):
    import torch

    from nearfar.losses import ContrastLoss

    first = {name: weight.clone() for name, weight in model.state_dict().items()}

    def stages():
        for number in range(options.tasks):
            yield Stage(rows, ContrastLoss(model), name=f"part {number + 1}")
            found = model.state_dict()
            model.load_state_dict({n: torch.lerp(first[n], found[n], 0.5) if first[n].is_floating_point() else first[n]
                                   for n in first})

    return Plan(model, stages(), count=options.tasks)


RECIPE = Recipe("tiny_stages", {"rows": ("pairs",)}, Options, prepare)
'''

NOISE = '''
"""Two passes over a sentence, noise as extra negatives, and a frozen guide that removes what it finds similar."""

import copy

from nearfar.kinds.options import TrainingOptions
from nearfar.recipes import Plan, Recipe, Stage


def prepare(model, rows, options):
    import torch

    from nearfar import far
    from nearfar.losses import ContrastLoss

    def noise(batch):
        return torch.randn(5, batch.anchors.shape[1], device=batch.anchors.device)

    def true_negatives(batch):
        return far.except_likely_positives(batch.guide_anchors, batch.guide_candidates, 0.8, unjudged=batch.extra)

    rows = rows.rename_column("text", "anchor")
    rows = rows.add_column("positive", rows["anchor"])
    guide = copy.deepcopy(model)
    return Plan(model, Stage(rows, ContrastLoss(model, far=true_negatives, guide=guide, extra=noise)))


RECIPE = Recipe("tiny_noise", {"rows": ("sentences",)}, TrainingOptions, prepare)
'''

STREAM = '''
"""A task after the other: the similarities of the model before are kept, and two rows of each earlier task."""

import copy

from nearfar.kinds.options import TrainingOptions
from nearfar.recipes import Plan, Recipe, Stage


def prepare(model, tasks, options):
    from datasets import concatenate_datasets

    from nearfar import contrast, near
    from nearfar.losses import ContrastLoss

    class Kept(ContrastLoss):
        def loss_of_vectors(self, columns, labels, guided, temperature):
            loss = contrast(*columns, temperature=temperature)
            if guided is None:
                return loss
            return loss + contrast(*columns, near.by_softmax(*guided, 0.1), temperature=temperature)

    def stages():
        teacher, earlier = None, []
        for name, rows in tasks.items():
            yield Stage(concatenate_datasets([rows, *earlier]), Kept(model, guide=teacher), name=name)
            teacher = copy.deepcopy(model)
            earlier.append(rows.shuffle().select(range(2)))

    return Plan(model, stages(), count=len(tasks))


RECIPE = Recipe("tiny_stream", {"stream": ("pairs",)}, TrainingOptions, prepare)
'''
