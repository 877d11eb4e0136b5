"""The result of a finished comparison or search, with what both write into `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.comparison.general import changes
from nearfar.comparison.ranking import BASE, against_baseline
from nearfar.comparison.result import Comparison

if TYPE_CHECKING:
    from nearfar.comparison.fitting import Fit
    from nearfar.comparison.folder import ComparisonFolder
    from nearfar.comparison.prepared import Prepared
    from nearfar.comparison.ranking import Ranked
    from nearfar.comparison.request import Request
    from nearfar.comparison.runner import Found
    from nearfar.evaluation.chance import Chance

__all__ = ["Advice", "finished", "split_as_dict"]


class Advice(NamedTuple):
    """Which model to use.

    Args:
        sentence: In one sentence.
        recommended: Its name; None for no model.
        model: Its folder, or the base model's name; None for no model.
        chance: What guessing scores, if it explains all scores; otherwise None.
    """

    sentence: str
    recommended: str | None
    model: str | None
    chance: Chance | None = None


def finished(
    request: Request,
    folder: ComparisonFolder,
    prepared: Prepared,
    fitting: list[Fit],
    ran: Found,
    ranking: Sequence[Ranked],
    advice: Advice,
    notes: list[str],
    more: Mapping[str, Any] | None = None,
) -> Comparison:
    """The result.

    Args:
        request: The request, with the number of seeds that were run.
        folder: Folder of the comparison.
        prepared: The rows.
        fitting: Which recipes, and last, whether the base model, are compatible with the rows.
        ran: The results of all jobs on the evaluation rows.
        ranking: The ranking.
        advice: Which model to use.
        notes: Notes for readers of the results.
        more: More for `metrics.json`; of an object that is there already, more keys.
    """
    from nearfar.evaluation.result import metric_name
    from nearfar.training.forgetting import BUILTIN
    from nearfar.training.rows import source_of

    found = ran.results
    first = found.get(BASE, next(iter(found.values())))[0]
    baseline = next(row.name for row in ranking if row.baseline is None)
    metrics: dict[str, Any] = {
        "recommendation": advice.sentence,
        "verdicts": against_baseline(ranking, advice.chance),
        "recommended": advice.recommended,
        "model": advice.model,
        "task": first["task"],
        "metric": first["primary"],
        "baseline": baseline,
        "seeds": request.seeds,
        "ranking": [row.as_dict() for row in ranking],
        "not_compared": [{"recipe": fit.name, "reason": fit.reason} for fit in fitting if fit.reason is not None],
        "failed": [each.as_dict() for each in ran.failures],
        "on_texts": [fit.name for fit in fitting if fit.on_texts],
        "rows": {"training": len(prepared.training), "evaluation": first["n"]},
        "split": split_as_dict(prepared),
        "leaks": {**prepared.leaks.as_dict(), "dropped_training_rows": prepared.dropped, "says": str(prepared.leaks)},
        "budget": ran.budget,
        "notes": notes,
    }
    if prepared.variants:
        metrics["variants"] = {name: each.as_dict() for name, each in prepared.variants.items()}
    if general := changes(found, str(source_of(request.keep) or BUILTIN)):
        metrics["general"] = general
    prompts = {name: results[0].get("prompts", {}) for name, results in found.items()}
    if any(prompts.values()):
        metrics["prompts"] = prompts
    for key, value in (more or {}).items():
        metrics[key] = {**metrics[key], **value} if key in metrics else value
    return Comparison(
        folder.path,
        metric_name(first["primary"]),
        list(ranking),
        baseline,
        advice.sentence,
        metrics["verdicts"],
        advice.model,
        fitting,
        ran.failures,
        notes,
        metrics,
    )


def split_as_dict(prepared: Prepared) -> dict[str, Any] | None:
    """How the rows were split, for `metrics.json`; None if evaluation rows were given."""
    return None if prepared.split is None else {**prepared.split.counts(), "says": str(prepared.split)}
