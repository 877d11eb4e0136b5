"""`inspect`: from a model and data to an inspection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError, about
from nearfar.inspection.differences import differences
from nearfar.inspection.duplicates import repeated_rows
from nearfar.inspection.examine import examine, layers_to_measure, with_candidates
from nearfar.inspection.findings import LISTED
from nearfar.inspection.locating import RowPlaces
from nearfar.inspection.options import InspectOptions
from nearfar.inspection.records import Repeat
from nearfar.inspection.sampling import draw_sample, read
from nearfar.inspection.source import VectorSource, open_sources
from nearfar.inspection.views import comparison_of_views
from nearfar.models.encoding_windows import EncodingOf, in_this_process

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data.retrieval import Retrieval
    from nearfar.inspection.result import Inspection
    from nearfar.inspection.sample import Sample
    from nearfar.models.stored_arrays import StoredArrays

#: Maximum number of rows that are encoded again for each layer.
SIZE_ROWS = 1_000


def inspect(
    model: SentenceTransformer | str | Path | np.ndarray,
    data: str | Path | Dataset | Retrieval,
    *,
    against: SentenceTransformer | str | Path | np.ndarray | None = None,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    rows: int = 10_000,
    near_duplicate: float = 0.95,
    layers: Sequence[int] | None = None,
    dims: Sequence[int] | None = None,
    map: str = "pca",
    batch_size: int = 64,
    seed: int = 0,
    skip_broken: bool = False,
    progress: Callable[[int, int], None] | None = None,
    encoding: EncodingOf = in_this_process,
    stored: StoredArrays | None = None,
) -> Inspection:
    """Inspect the space that a model makes of data, and the data through the model.

    The columns decide which measures there are: pairs, scored pairs, labels, a BEIR-format dataset, images or audio
    with texts, or only texts. `nearfar.inspection.MEASURES` defines each.

    Args:
        model: An encoder, or a name that `nearfar.models.load` takes; the views of a model that has several are
            compared with each other. Or the vectors of the data's texts, as a matrix or a file that `nearfar encode`
            wrote.
        data: Rows, a retrieval set, or where to read them.
        against: Another model, inspected on the same items, with paired 95% intervals of the differences. A candidate
            for a false negative is a likely one if both models agree on it, or if duplicates or labels support it.
        columns, split, rows, near_duplicate, layers, dims, map, batch_size, seed, skip_broken: See `InspectOptions`.
            Repeated rows are found among all rows, even where `rows` limits the sample.
        progress: Called with (items encoded, items in total).
        encoding: Chooses what encodes texts with a model: `nearfar.encoding.OnRay(...).of` for workers of Ray. Files,
            and the layers of a model, are encoded in this process.
        stored: Where the vectors of texts are stored, so that an interrupted command is resumed; the models are then
            SentenceTransformers.

    Raises:
        InputError: there is no such model or data, the model does not encode it, or there are fewer than 3 items.
    """
    options = InspectOptions(
        columns=columns,
        split=split,
        skip_broken=skip_broken,
        rows=rows,
        near_duplicate=near_duplicate,
        layers=layers,
        dims=dims,
        map=map,
        batch_size=batch_size,
        seed=seed,
    )
    found = read(data, options)
    with about(data if isinstance(data, (str, Path)) else None, getattr(found, "column_names", ("query", "document"))):
        # All models are opened, and their layers checked, before any of them is used.
        sources = open_sources(model, against, encoding, stored)
        found = _readable(found, sources[0])
        sample = draw_sample(found, options.rows, options.seed)
        if encoding is not in_this_process:
            _require_texts(sources, sample)
        few = sample if sample.rows <= SIZE_ROWS else draw_sample(found, SIZE_ROWS, options.seed)
        total, done = sum(_items_to_encode(source, sample, few, options) for source in sources), 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        examined = [examine(source, sample, few, options, step) for source in sources]
    inspections = with_candidates(sample, *zip(*examined, strict=True))
    first, *second = _with_rows(data, found, options, inspections)
    if not second:
        return first
    views = None
    if against is None:
        one, other = (opinion.vectors[0] for _, opinion in examined)
        places = RowPlaces(data, found, options.split)
        views = comparison_of_views(sample, one, other, options.seed).with_places(places)
    return replace(first, against=second[0], differences=differences(first, second[0], options.seed), views=views)


def _readable(data: Dataset | Retrieval, source: VectorSource) -> Dataset | Retrieval:
    """The data without its texts, if they are beside files and the model encodes only files."""
    from nearfar.models.routes import only_medium

    medium = None if source.encoder is None else only_medium(source.encoder)
    columns = getattr(data, "column_names", ())
    return data.remove_columns("text") if medium in columns and "text" in columns else data  # pyright: ignore[reportAttributeAccessIssue]


def _require_texts(sources: Sequence[VectorSource], sample: Sample) -> None:
    """Raise an InputError if another process is to encode texts, and there are none to encode."""
    media = [side.medium for side in sample.sides]
    if "text" not in media:
        raise InputError(f"is for texts, got rows of {media[0]}", field="--ray", remedy="remove it")
    if all(source.encoder is None for source in sources):
        raise InputError("is for encoders, got vectors", field="--ray", remedy="remove it")


def _items_to_encode(source: VectorSource, sample: Sample, few: Sample, options: InspectOptions) -> int:
    depths, _ = layers_to_measure(source, options)
    if source.encoder is None:
        return 0
    return len(sample) + (0 if few is sample else len(few)) + len(few) * len(depths)


def _with_rows(
    source: str | Path | Dataset | Retrieval,
    data: Dataset | Retrieval,
    options: InspectOptions,
    inspections: list[Inspection],
) -> list[Inspection]:
    """The inspections with what follows from the data and not from a model: places, repeated rows, notes."""
    place_of = RowPlaces(source, data, options.split)
    repeated = repeated_rows(data, LISTED)
    repeats = [
        Repeat(place_of("document", row), place_of("document", earlier), contradicts)
        for row, earlier, contradicts in repeated.examples
    ]
    notes = []
    if inspections[0].sampled:
        what = "queries" if inspections[0].schema == "retrieval" else "rows"
        notes.append(
            f"{inspections[0].looked_at:,} of {inspections[0].total:,} {what} are used, sampled with seed "
            f"{options.seed}; repeated rows were searched in all"
        )
    if place_of.skipped:
        notes.append("rows with broken files were skipped, and rows are numbered without them")
    return [
        replace(
            each.with_places(place_of),
            repeats=repeats,
            repeated=repeated.count,
            contradictions=repeated.contradictions,
            notes=(*notes, *each.notes),
        )
        for each in inspections
    ]
