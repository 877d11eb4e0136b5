"""Notes for readers of a comparison's results: what its figures cover, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.comparison.fitting import Fit
    from nearfar.comparison.prepared import Prepared
    from nearfar.comparison.ranking import Ranked
    from nearfar.comparison.request import Request
    from nearfar.comparison.variants import Variant

__all__ = ["notes_of"]


def notes_of(
    request: Request,
    prepared: Prepared,
    fitting: Sequence[Fit],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    ranking: Sequence[Ranked],
    baseline: str,
) -> list[str]:
    """Notes for readers of the results.

    Args:
        request: The request.
        prepared: The rows.
        fitting: Which recipes are compatible with them.
        found: The results of all models.
        ranking: The ranking.
        baseline: The model that the others are tested against.
    """
    texts = [fit.name for fit in fitting if fit.on_texts and fit.name in found]
    runs = [run for several in found.values() for run in several]
    notes = [
        *_on_seeds(request.seeds),
        *_on_rows(texts, prepared),
        *(note for name, variant in prepared.variants.items() for note in _on_variant(name, variant)),
        *_on_baseline(request.baseline, baseline),
        *_on_scores(runs, len(ranking)),
        *(note for run in runs for note in run["notes"]),
    ]
    return list(dict.fromkeys(notes))


def _on_seeds(seeds: int) -> Iterator[str]:
    if seeds == 1:
        yield "One seed: the intervals cover only the evaluation items, and another seed may change the ranking."
    else:
        few = " With few seeds, the variation between runs is only roughly known; 5 are better." if seeds < 5 else ""
        yield f"Intervals cover {seeds} seeds and the evaluation items.{few}"


def _on_rows(texts: Sequence[str], prepared: Prepared) -> Iterator[str]:
    if texts:
        yield f"Trained on the single texts of the rows, without their relations: {', '.join(texts)}."
    if prepared.dropped:
        yield f"{prepared.dropped:,} training rows were removed, because they are evaluation rows."
    if prepared.learn:
        yield "The classifier is trained on the vectors of the training rows, and scored on the evaluation rows."


def _on_variant(name: str, variant: Variant) -> Iterator[str]:
    yield f"Variant {name}: {len(variant.rows):,} training rows. {variant.leaks}"
    if variant.dropped:
        yield f"Variant {name}: {variant.dropped:,} rows were removed, because they are evaluation rows."
    if variant.shared:
        yield f"Variant {name}: {variant.shared:,} rows were removed, because they have a text of held-out rows."


def _on_baseline(asked: str | None, baseline: str) -> Iterator[str]:
    if asked is not None and asked != baseline:
        yield f"{asked} failed, so the others are tested against {baseline}."


def _on_scores(runs: Sequence[Mapping[str, Any]], ranked: int) -> Iterator[str]:
    if any(run["metrics"][run["primary"]] is None for run in runs):
        yield "A model gave all pairs the same similarity: its correlation is undefined and counts as 0."
    if ranked > 2:
        yield (
            "The best model was chosen on these evaluation items, so its score is slightly too high: before an "
            "important decision, evaluate it once on other items (nearfar evaluate)."
        )
