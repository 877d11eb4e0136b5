"""An encoder learns the scores of a reranker, or the similarities of another encoder.

Hofstätter, Althammer, Schröder, Sertkan, Hanbury 2020, Improving Efficient Neural Ranking Models with
Cross-Architecture Knowledge Distillation (arXiv 2010.02666: margins). Lin, Yang, Lin 2020 (arXiv 2010.11386: listwise
KL). Fang, Wang, Wang, Zhang, Yang, Liu 2021, SEED (arXiv 2101.04731: similarities of an encoder of any width).

Claim: an encoder that learns the scores of a cross-encoder ranks better than one that learns from labels alone, and the
margins between scores are a better target than the scores, whose scale differs between architectures.

    s_ij = cos(q_i, d_ij) / tau,   t_ij = score_ij / teacher_temperature;   j: the candidates of i, 0 its best
    kl:         mean_i KL( softmax(t_i) || softmax(s_i) )
    margin_mse: mean_ij ( (s_i0 - s_ij) - (t_i0 - t_ij) )^2

Rows are lists of candidates with scores. Or a `teacher` is named: a reranker scores the positive and the negatives of
pairs. The similarities of an encoder are the weights of near over all candidates of the batch, for pairs or sentences.

Differences from the papers: scores are cosines divided by tau, theirs dot products. A list has any length; theirs are a
positive and a negative (margins). SEED's candidates are a queue of earlier vectors, ours the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import ContrastOptions, NonNegative, Range
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of distillation.

    Args:
        batch_size: Queries per batch and process, each with all its candidates.
        distance: Of the student's scores from a reranker's.
        candidates: Candidates per query in a batch; a longer list becomes several rows.
        teacher: Folder or Hub ID of a reranker, or of an encoder of any width; empty: the rows have scores.
        teacher_temperature: The teacher's scores are divided by it; 0: 1 for a reranker, 0.05 for an encoder's cosines.
    """

    batch_size: int = 32
    distance: Literal["kl", "margin_mse"] = "kl"
    candidates: Annotated[int, Range(least=2)] = 8
    teacher: str = ""
    teacher_temperature: NonNegative = 0.0


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Compose the loss for lists with scores, or with a teacher."""
    from nearfar.data.ranked import lists_of_pairs, with_candidate_columns
    from nearfar.kinds.loading import class_of, load_scorer
    from nearfar.losses import RankedListLoss, TeacherSimilarityLoss
    from nearfar.models.loading import load

    scored, paired = ("query" in rows.column_names), ("anchor" in rows.column_names)
    if scored == bool(options.teacher):
        problem = "ranked lists have scores already" if scored else "expected ranked lists, or a teacher"
        remedy = "remove teacher" if scored else "use rows with query, candidates, scores; or --set teacher=MODEL"
        raise InputError(problem, field="teacher", remedy=remedy)
    device, shared = str(model.device), {**options.contrast, "gather_across_devices": paired}
    if options.teacher and class_of(options.teacher).name == "encoder":
        _refuse_without_lists(options)
        teacher, scale = load(options.teacher, device=device), options.teacher_temperature or 0.05
        return Plan(model, Stage(rows, TeacherSimilarityLoss(model, teacher, scale, **shared)))
    if options.teacher and not paired:
        raise InputError("a reranker scores pairs, got sentences", field="teacher", remedy="use an encoder")
    if options.teacher:
        rows = lists_of_pairs(rows, load_scorer(options.teacher, device=device).score_relevance)
    scale = options.teacher_temperature or 1.0
    loss = RankedListLoss(model, options.distance, options.temperature, scale, cached=options.cached)
    return Plan(model, Stage(with_candidate_columns(rows, options.candidates), loss, batches="shuffled"))


def _refuse_without_lists(options: Options) -> None:
    """Refuse options of lists, which the similarities of an encoder do not have."""
    for name in ("distance", "candidates"):
        if getattr(options, name) != getattr(Options(), name):
            problem = "has no effect with an encoder as the teacher, whose similarities to the batch are learned"
            raise InputError(problem, field=name, remedy=f"remove {name}, or use a reranker as the teacher")


NEEDED = {"pairs": "teacher", "sentences": "teacher"}
RECIPE = Recipe("score_distillation", {"rows": ("ranked lists", *NEEDED)}, Options, prepare, required_options=NEEDED)
