"""A fused model that gains on validation rows and loses little on a general set: the weight is chosen by measuring.

The models on the line theta_0 + w (theta_1 - theta_0) are measured, from the base model (w = 0) to the fine-tuned or
fused one (w = 1). The items of the validation rows and of the general set are split at random into two halves each.
On the first halves, a weight is chosen; on the second ones, the gain and the loss of this weight are reported.

A weight is allowed if the 95% interval of its change on the general set is above minus the limit, and so are all
smaller weights: the line is walked from the base model and left at the first weight that may lose more. This order was
fixed before anything was measured, so the chance that the chosen weight loses more than the limit is not increased by
trying several. Of the allowed weights, the one with the largest gain is chosen, if that is above 0.

Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models (WiSE-FT), arXiv 2109.01903, for the line;
Angelopoulos et al. 2021, Learn then Test, arXiv 2110.01052, for the fixed sequence of tests.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.evaluation.compared import paired_interval
from nearfar.evaluation.parts import halves, part_of
from nearfar.models.fusion import Granularity, fuse, model_folder
from nearfar.models.interpolation import interpolate
from nearfar.training.forgetting import BUILTIN, GeneralSet, read_general
from nearfar.training.fusing_result import Choice, Effect
from nearfar.writing import check_free, check_writable, draft_folder, file_claimed, full_disk_noticed, write_text

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval
    from nearfar.evaluation import Interval, Result

__all__ = ["LIMIT", "WEIGHTS", "Choice", "Effect", "Line", "choose", "fuse_within", "measure_line"]

#: Largest loss on the general set, by default.
LIMIT = 0.02
#: The weights that are measured, by default.
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(1, 11))
FILE = "fused.json"


@dataclass(frozen=True)
class Line:
    """The evaluations of the models on a line.

    Args:
        data: On the validation rows, by weight; 0 is the base model.
        general: On the general set, by weight.
    """

    data: Mapping[float, Result]
    general: Mapping[float, Result]


def fuse_within(
    base: str | Path,
    checkpoints: Sequence[str | Path],
    out: str | Path,
    *,
    data: str | Path | Dataset | Retrieval,
    keep: str | Path | Dataset | Retrieval = BUILTIN,
    limit: float = LIMIT,
    weights: Sequence[float] = WEIGHTS,
    granularity: Granularity = "tensor",
    beta: float = 1.0,
    columns: Mapping[str, str] | None = None,
    report: str | Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Choice:
    """Fuse one or more checkpoints with their base model by the weight that gains most and loses at most `limit`.

    Several checkpoints are first fused as by `nearfar.models.fusion.fuse`; the line leads from the base model to the
    result. If a weight is chosen, the model is written to `out`, with the figures in its `fused.json`; otherwise
    nothing is written there.

    Args:
        base: The base model of the checkpoints: a folder, a Hub ID or an alias.
        checkpoints: One or more folders, Hub IDs or aliases; in a run folder, its `model` is used.
        out: The folder to write; it must not exist.
        data: Validation rows, or a BEIR-format dataset, of the task that the checkpoints were trained for. They should
            be neither training rows nor the rows that the final result is reported on.
        keep: The general set: `builtin`, or anything that `nearfar.evaluate` reads.
        limit: The largest loss on the general set, in its primary metric.
        weights: The weights to measure, above 0 and at most 1.
        granularity, beta: How several checkpoints are fused, see `nearfar.models.fusion.fuse`.
        columns: Canonical column name -> name in `data`.
        report: The HTML page to write; None: no page.
        seed: Random seed of the halves and the intervals.
        progress: Called with (weights done, number of weights).

    Raises:
        InputError: An argument or the data is invalid, the models do not match, or something cannot be written.
    """
    from nearfar.evaluation.dispatch import reads_documents
    from nearfar.evaluation.rows import load_for_evaluation
    from nearfar.kinds.loading import class_of
    from nearfar.training.fusing_page import fusing_page

    target, steps = Path(out), _checked(weights, limit)
    if not checkpoints:
        raise InputError("expected at least 1 checkpoint, got 0", field="CHECKPOINT", remedy="pass one or more")
    check_free(target)
    check_writable(target)
    start = model_folder(base)
    documents = reads_documents(class_of(start), None)
    rows = load_for_evaluation(data, columns, documents=documents)
    general = read_general(keep, documents=documents)
    with ExitStack() as stack:
        stack.enter_context(file_claimed(target))
        if report is not None:
            stack.enter_context(file_claimed(report, "--report"))
        check_free(target)  # once more: another process may just have finished
        stack.enter_context(full_disk_noticed(target.parent))
        folder = stack.enter_context(draft_folder(target))
        if len(checkpoints) == 1:
            end = model_folder(checkpoints[0])
        else:
            end = fuse(base, checkpoints, Path(folder, "fused"), granularity=granularity, beta=beta).folder
        name = str(data) if isinstance(data, (str, Path)) else "in memory"
        line = measure_line(start, end, GeneralSet(rows, name), general, weights=steps, seed=seed, progress=progress)
        found = choose(line, limit, seed=seed)
        if report is not None:
            facts = {
                "base model": base,
                "checkpoints": ", ".join(map(str, checkpoints)),
                "data": name,
                "keep": general.name,
            }
            fusing_page(found, [*facts.items(), ("seed", seed)]).write(report)
        # The model comes last: where it exists, the command is not run again.
        if found.weight is not None:
            chosen = interpolate(start, end, Path(folder, "chosen"), found.weight)
            models = {"base": str(base), "checkpoints": list(map(str, checkpoints))}
            write_text(json.dumps({**models, **found.as_dict()}, indent=2) + "\n", chosen / FILE)
            chosen.rename(target)
    return found


def measure_line(
    base: Path,
    model: Path,
    data: GeneralSet,
    general: GeneralSet,
    *,
    weights: Sequence[float] = WEIGHTS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Line:
    """Evaluate the base model and the models on the line from it, each on both sets.

    Args:
        base: Folder of the base model.
        model: Folder of a model that was trained from it.
        data: The validation rows.
        general: The general set.
        weights: The weights to measure, in ascending order.
        seed: Random seed of the evaluation.
        progress: Called with (weights done, number of weights).

    Raises:
        InputError: The models do not match, or cannot be evaluated on the rows.
    """
    from nearfar.kinds.loading import load_kind

    of_data: dict[float, Result] = {}
    of_general: dict[float, Result] = {}
    for done, weight in enumerate((0.0, *weights)):
        with tempfile.TemporaryDirectory() as folder:
            place = base if weight == 0 else interpolate(base, model, Path(folder, "model"), weight)
            found = load_kind(place)
            for each in (data, general):
                each.check(found)
            of_data[weight], of_general[weight] = data.measure(found, seed), general.measure(found, seed)
        if progress is not None:
            progress(done, len(weights))
    return Line(of_data, of_general)


def choose(line: Line, limit: float, *, seed: int = 0) -> Choice:
    """Choose a weight on the first halves of the items, and report it on the second ones.

    Args:
        line: The evaluations; the weights above 0 in ascending order.
        limit: The largest loss on the general set, in its primary metric.
        seed: Random seed of the halves and the intervals.

    Raises:
        InputError: There are fewer than 10 items, or a task has no interval.
    """
    sides = [halves(of[0.0].n, seed) for of in (line.data, line.general)]
    weights = [weight for weight in line.data if weight > 0]

    def effect(weight: float, half: int) -> Effect:
        gain, kept = (
            _difference(part_of(of[0.0], side[half]), part_of(of[weight], side[half]), seed)
            for of, side in zip((line.data, line.general), sides, strict=True)
        )
        return Effect(weight, gain, kept)

    measured = tuple(effect(weight, 0) for weight in weights)
    allowed = []
    for each in measured:
        if each.kept.low < -limit:
            break
        allowed.append(each)
    best = max(allowed, key=lambda each: each.gain.mean, default=None)
    weight = None if best is None or best.gain.mean <= 0 else best.weight
    shown = [each for each in dict.fromkeys((weight, weights[-1])) if each is not None]
    return Choice(
        weight,
        limit,
        measured,
        tuple(each.weight for each in allowed),
        {each: effect(each, 1) for each in shown},
        (line.data[0.0].primary, line.general[0.0].primary),
        ((len(sides[0][0]), len(sides[0][1])), (len(sides[1][0]), len(sides[1][1]))),
    )


def _difference(before: Result, after: Result, seed: int) -> Interval:
    found = paired_interval(before, after, seed=seed)
    if found is None:
        raise InputError("the metric is undefined for a model, so no weight can be chosen", remedy="use other rows")
    return found


def _checked(weights: Sequence[float], limit: float) -> list[float]:
    if not (math.isfinite(limit) and limit >= 0):
        raise InputError(f"invalid value {limit}: must be 0 or more", field="--limit", remedy=f"use e.g. {LIMIT}")
    found = sorted(set(weights))
    if not found or not 0 < found[0] <= found[-1] <= 1:
        shown = ", ".join(f"{weight:g}" for weight in found) or "none"
        problem = f"invalid weights {shown}: must be above 0 and at most 1"
        raise InputError(problem, field="--weights", remedy="use e.g. 0.25,0.5,0.75,1")
    return found
