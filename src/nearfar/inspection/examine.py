"""One model on one sample: everything that is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.inspection.evidence import Opinion, support_of
from nearfar.inspection.findings import confusions, false_negatives, hubs, near_duplicate_items
from nearfar.inspection.flat import flat_map
from nearfar.inspection.measuring import measure, union
from nearfar.inspection.records import Point, shown
from nearfar.inspection.result import Inspection
from nearfar.inspection.sizes import by_dims, by_layers, depths_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nearfar.inspection.options import InspectOptions
    from nearfar.inspection.sample import Sample
    from nearfar.inspection.source import VectorSource

#: Maximum number of points of a map.
POINTS = 2_000


def examine(
    source: VectorSource, sample: Sample, few: Sample, options: InspectOptions, step: Callable[[int], None]
) -> tuple[Inspection, Opinion]:
    """Inspect a sample through one model. Rows are named by their numbers; see `Inspection.with_places`.

    What supports the candidates for false negatives depends on all models, see `with_candidates`.

    Args:
        source: An encoder, or vectors.
        sample: What is inspected.
        few: The same, or a smaller sample of the same data, to measure layers and dimensions on.
        options: See there.
        step: Called with the number of items encoded since the last call.

    Raises:
        InputError: the model does not encode such items, or has no such layers or dimensions.
    """
    import numpy as np

    started = time.perf_counter()
    depths, notes = layers_to_measure(source, options)
    vectors = source.of(sample, batch_size=options.batch_size, step=step)
    few_vectors = vectors if few is sample else source.of(few, batch_size=options.batch_size, step=step)
    found = measure(sample, vectors, options.seed)
    layers = []
    if source.encoder is not None:
        layers = by_layers(source.encoder, few, depths, batch_size=options.batch_size, seed=options.seed, step=step)
    measure_dims = options.dims is None or len(options.dims) > 0
    dims = by_dims(few, few_vectors, options.dims, options.seed) if measure_dims else []
    duplicates, duplicate_count = near_duplicate_items(sample, vectors, options.near_duplicate)
    several_positives = len(np.unique(sample.positives[:, 0])) < len(sample.positives)
    confused = int((found.neighbours.above > 0).sum()) if sample.by_label else 0
    width = vectors[0].shape[1]
    if len(sample) <= width:
        notes.append(
            f"fewer items than the {width} dimensions: effective rank, spectrum and IsoScore are limited by the number "
            "of items"
        )
    inspection = Inspection(
        model=source.name,
        schema=sample.schema,
        total=sample.total,
        looked_at=sample.rows,
        items={side.name: len(side) for side in sample.sides},
        dims=width,
        seed=options.seed,
        measures=found.measures,
        per_item=found.per_item,
        groups=sample.anchors if several_positives else None,
        similarities=found.similarities,
        scored=None if found.scored is None or sample.scored is None else (found.scored, sample.scored[1]),
        spectrum=[float(share) for share in found.spectrum],
        false_negatives=[],
        false_negative_rows=0,
        confusions=confusions(sample, found.neighbours) if sample.by_label else [],
        confused_rows=confused,
        near_duplicates=duplicates,
        near_duplicate_count=duplicate_count,
        threshold=options.near_duplicate,
        hubs=hubs(sample, found.occurrence),
        gap=_gap(source, sample, vectors, options.seed),
        layers=layers,
        sizes=dims,
        size_rows=few.rows,
        points=_points(sample, vectors, options),
        map=options.map,
        notes=(*sample.notes, *notes, *found.notes),
        prompts=source.prompts(sample),
        seconds=time.perf_counter() - started,
    )
    return inspection, Opinion(vectors, found.neighbours)


def with_candidates(sample: Sample, inspections: Sequence[Inspection], opinions: Sequence[Opinion]) -> list[Inspection]:
    """The inspections of one sample by several models, with their candidates for false negatives."""
    if sample.by_label:
        return list(inspections)  # rows of different labels are negatives
    found = []
    for number, (inspection, opinion) in enumerate(zip(inspections, opinions, strict=True)):
        support = support_of(sample, opinions, number)
        found.append(
            replace(
                inspection,
                false_negatives=false_negatives(sample, opinion.neighbours, support),
                false_negative_rows=int((opinion.neighbours.above > 0).sum()),
                likely_rows=sum(map(bool, support)),
                models=len(opinions),
            )
        )
    return found


def layers_to_measure(source: VectorSource, options: InspectOptions) -> tuple[Sequence[int], list[str]]:
    """The depths to measure at, and a note where there are none that could be.

    Raises:
        InputError: layers were asked for that the model does not have.
    """
    if source.encoder is None:
        if options.layers:
            raise InputError("vectors have no layers", field="layers", remedy="pass the model itself")
        return [], []
    try:
        return depths_of(source.encoder, options.layers), []
    except InputError as error:
        if options.layers is not None:
            raise
        return [], [f"not measured by layer: {error.problem}"]


def _gap(source: VectorSource, sample: Sample, vectors: Any, seed: int) -> dict[str, float] | None:
    """The gap between two modalities, or between two towers of texts."""
    from nearfar import geometry
    from nearfar.models.towers.texts import has_text_towers

    if len(sample.sides) < 2 or len(sample.positives) < geometry.LEAST_PAIRS:
        return None
    first, second = sample.sides
    if first.medium == second.medium and (source.encoder is None or not has_text_towers(source.encoder)):
        return None
    anchors, partners = sample.positives.T
    return asdict(geometry.gap(vectors[0][anchors], vectors[1][partners], seed=seed))


def _points(sample: Sample, vectors: tuple[np.ndarray, ...], options: InspectOptions) -> list[Point]:
    import numpy as np

    items = [(0, i) for i in range(len(sample.sides[0]))] + [(1, int(j)) for j in sample.only_on_second]
    chosen = np.sort(np.random.default_rng(options.seed).permutation(len(items))[:POINTS])
    places = flat_map(union(sample, vectors)[chosen], options.map, options.seed)
    points = []
    for number, (x, y) in zip(chosen, places.tolist(), strict=True):
        side, item = items[number]
        of = sample.sides[side]
        group = of.name if sample.groups is None else sample.groups[side][item]
        points.append(Point(round(x, 4), round(y, 4), shown(of.text(item)), group, of.name))
    return points
