"""`inspect`: from a model and data to everything that is found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.retrieval import is_retrieval_folder
from nearfar.errors import InputError, about
from nearfar.inspection import sizes as by_size
from nearfar.inspection.differences import differences
from nearfar.inspection.duplicates import near_duplicates, repeated_rows
from nearfar.inspection.flat import check_map, flat_map
from nearfar.inspection.material import Material
from nearfar.inspection.measuring import Measured, measure, own_of_second, union
from nearfar.inspection.reading import build, read
from nearfar.inspection.result import Couple, Hub, Inspection, Named, Point, Repeat, Rival, shown
from nearfar.inspection.vectors import encode_sides, is_vectors, read_vectors

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data.retrieval import Retrieval

#: Rows that are looked at; the time of neighbours grows with their square.
ROWS = 10_000
#: Rows that are encoded once more a layer.
SIZE_ROWS = 1_000
#: Points of a map.
POINTS = 2_000
#: Rows of each list that are named.
NAMED = 100
HUBS = 10
#: Cosine from which two items are near-duplicates.
NEAR = 0.95


def inspect(
    model: SentenceTransformer | str | Path | np.ndarray,
    data: str | Path | Dataset | Retrieval,
    *,
    against: SentenceTransformer | str | Path | np.ndarray | None = None,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    rows: int = ROWS,
    near_duplicate: float = NEAR,
    layers: Sequence[int] | None = None,
    dims: Sequence[int] | None = None,
    map: str = "pca",
    batch_size: int = 64,
    seed: int = 0,
    skip_broken: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Inspection:
    """Look at the space that a model makes of data, and at the data through the model.

    Which measures there are follows from the columns: pairs, scored pairs, labels, a retrieval folder, pictures or
    recordings with texts, or texts alone. `nearfar.inspection.MEASURES` says what each is.

    Args:
        model: An encoder, or a name that `nearfar.models.load` takes; or the vectors of the data's texts, as a matrix
            or a file that `nearfar encode` wrote.
        data: Rows, a retrieval set, or where to read them.
        against: Another model, for the same of it and for differences with paired 95% intervals over items.
        columns: Canonical column name -> name in the file.
        split: Which split, where there are several.
        rows: Of more rows than these, so many are drawn. Rows that repeat others are looked for in all.
        near_duplicate: The cosine from which two items count as near-duplicates, in (0, 1].
        layers: Depths to measure at; all when None, none where empty.
        dims: Widths to measure at; powers of two when None, none where empty.
        map: `pca` or `tsne`.
        batch_size: Items a forward pass.
        seed: Decides all that is drawn.
        skip_broken: Leave out rows whose picture or recording is broken.
        progress: Called with (items encoded, items in all).

    Raises:
        InputError: there is no such model or data, the model does not read it, or there are fewer than 3 items.
    """
    check_map(map)
    if rows < 3:
        raise InputError(f"{rows} rows say nothing about a space", field="rows", remedy="give at least 3")
    if not 0 < near_duplicate <= 1:
        raise InputError(f"{near_duplicate} is no cosine", field="near_duplicate", remedy="give e.g. 0.95")
    found = read(data, columns, split, skip_broken=skip_broken)
    named = data if isinstance(data, (str, Path)) else None
    with about(named, getattr(found, "column_names", ("query", "document"))):
        material = build(found, rows, seed)
        small = material if material.looked_at <= SIZE_ROWS else build(found, SIZE_ROWS, seed)
        subject = _Subject(found, material, small, data, split, skip_broken)
        how = _How(near_duplicate, layers, dims, map, batch_size, seed)
        # Both are opened before the first of them has taken its time.
        models = [_opened(each, layers) for each in ([model] if against is None else [model, against])]
        total, done = sum(each.items(subject) for each in models), 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        looks = [_look(each, subject, how, step) for each in models]
        if against is None:
            return looks[0]
        return replace(looks[0], against=looks[1], differences=differences(looks[0], looks[1], seed))


@dataclass(frozen=True)
class _How:
    """The options that both models share."""

    threshold: float
    layers: Sequence[int] | None
    dims: Sequence[int] | None
    map: str
    batch_size: int
    seed: int


@dataclass(frozen=True, eq=False)
class _Model:
    """What is looked at: an encoder, or vectors; and the depths to measure at."""

    name: str
    encoder: SentenceTransformer | None
    vectors: Any
    depths: list[int]
    note: str | None = None

    def items(self, subject: _Subject) -> int:
        """How many items are encoded for it."""
        if self.encoder is None:
            return 0
        few = sum(map(len, subject.small.sides))
        again = 0 if subject.small is subject.material else few
        return sum(map(len, subject.material.sides)) + again + few * len(self.depths)


class _Subject:
    """The data and what is looked at of it; the same for both models."""

    def __init__(
        self, data: Any, material: Material, small: Material, source: Any, split: str | None, skip_broken: bool
    ) -> None:
        self.data, self.material, self.small = data, material, small
        self.source, self.split, self.skip_broken = source, split, skip_broken

    @cached_property
    def repeated(self) -> Any:
        return repeated_rows(self.data, NAMED)

    @property
    def unplaced(self) -> bool:
        """Whether rows were left out, so that those that are here cannot be found in the file by their number."""
        return self.skip_broken and hasattr(self.data, "column_names") and self._places is None

    @cached_property
    def _places(self) -> Any:
        """Where rows stand; None where rows were left out, so that numbers would name others."""
        from nearfar.data.places import places

        if is_retrieval_folder(self.source) or not hasattr(self.data, "column_names"):
            return None
        source = self.source if isinstance(self.source, (str, Path)) else self.data
        found = places(source, self.split or "train")
        return found if len(found) == len(self.data) else None

    def place(self, origin: int | str, kind: str) -> dict[str, Any]:
        """Where a row, or what has an id, stands."""
        if isinstance(origin, str):
            return {"kind": kind, "id": origin}
        if self._places is None:
            source = self.source if isinstance(self.source, (str, Path)) else "the data set"
            return {"file": str(source), "row": origin + 1}
        return self._places.at(origin)

    def named(self, side: int, item: int) -> Named:
        """An item of one of the sides with its place."""
        of = self.material.sides[side]
        groups = self.material.groups
        label = None if groups is None else shown(groups[side][item])
        return Named(self.place(of.origins[item], of.name), shown(of.text(item)), label)


def _look(model: _Model, subject: _Subject, how: _How, step: Callable[[int], None]) -> Inspection:
    import numpy as np

    started = time.perf_counter()
    material, small, notes = subject.material, subject.small, list(subject.material.notes)
    if model.note is not None:
        notes.append(model.note)
    if subject.unplaced:
        notes.append("rows with broken files are left out, and rows are named by their number among the others")

    def encoded(part: Material) -> Any:
        if model.encoder is None:
            return read_vectors(model.vectors, part, len(subject.data))
        return encode_sides(model.encoder, part, batch_size=how.batch_size, step=step)

    vectors = encoded(material)
    small_vectors = vectors if small is material else encoded(small)
    found = measure(material, vectors, how.seed)
    notes += found.notes
    layers = []
    if model.encoder is not None:
        layers = by_size.by_layers(
            model.encoder, small, model.depths, batch_size=how.batch_size, seed=how.seed, step=step
        )
    dims = [] if how.dims is not None and not how.dims else by_size.by_dims(small, small_vectors, how.dims, how.seed)
    duplicates, count = _near(subject, vectors, how.threshold)
    if material.looked_at < material.total:
        what = "queries" if material.schema == "retrieval" else "rows"
        notes.insert(
            0,
            f"{material.looked_at:,} of {material.total:,} {what} are looked at, drawn with seed {how.seed}; "
            "rows that repeat others were looked for in all",
        )
    width = vectors[0].shape[1]
    if sum(map(len, material.sides)) <= width:
        notes.append(f"fewer items than the {width} dimensions: rank, spectrum and IsoScore speak of the items' number")
    repeated = subject.repeated
    multiple = material.partners is not None and len(np.unique(material.anchors)) < len(material.anchors)
    return Inspection(
        model=model.name,
        schema=material.schema,
        total=material.total,
        looked_at=material.looked_at,
        items={side.name: len(side) for side in material.sides},
        dims=width,
        seed=how.seed,
        measures=found.measures,
        per_item=found.per_item,
        groups=material.anchors if multiple else None,
        similarities=found.similarities,
        scored=None if found.scored is None or material.scored is None else (found.scored, material.scored[1]),
        spectrum=[float(share) for share in found.spectrum],
        false_negatives=_rivals(subject, found),
        false_negative_rows=int((found.neighbours.above > 0).sum()),
        near_duplicates=duplicates,
        near_duplicate_count=count,
        threshold=how.threshold,
        repeats=[
            Repeat(subject.place(a, "document"), subject.place(b, "document"), c) for a, b, c in repeated.examples
        ],
        repeated=repeated.count,
        contradictions=repeated.contradictions,
        hubs=_hubs(subject, found),
        gap=_gap(model.encoder, material, vectors, how.seed),
        layers=layers,
        sizes=dims,
        size_rows=small.looked_at,
        points=_points(material, vectors, how),
        map=how.map,
        notes=tuple(dict.fromkeys(notes)),
        seconds=time.perf_counter() - started,
    )


def _opened(model: Any, layers: Sequence[int] | None) -> _Model:
    """A model by name, in memory, or as its vectors.

    Raises:
        InputError: no such model, or depths that it does not have.
    """
    named = isinstance(model, (str, Path))
    if is_vectors(model):
        if layers:
            raise InputError("vectors have no layers", field="layers", remedy="give the model itself")
        return _Model(str(model) if named else "vectors", None, model, [])
    from nearfar.models import load

    encoder: Any = load(model) if named else model
    name = str(model) if named else encoder.model_card_data.base_model or "model"
    try:
        return _Model(name, encoder, None, by_size.depths_of(encoder, layers))
    except InputError as error:
        if layers is not None:
            raise
        return _Model(name, encoder, None, [], f"not by layer: {error.problem}")


def _near(subject: _Subject, vectors: Any, threshold: float) -> tuple[list[Couple], int]:
    """Near-duplicates within each side."""
    import torch

    found: list[Couple] = []
    count = 0
    for side, part in enumerate(vectors):
        several, couples = near_duplicates(torch.from_numpy(part), threshold, NAMED)
        count += several
        found += [Couple(subject.named(side, i), subject.named(side, j), cosine) for i, j, cosine in couples]
    return sorted(found, key=lambda couple: -couple.cosine)[:NAMED], count


def _rivals(subject: _Subject, found: Measured) -> list[Rival]:
    """Rows with nearer strangers, those first whose stranger is most similar."""
    near = found.neighbours
    rows = (near.above > 0).nonzero().flatten()
    order = near.rival_cosines[rows, 0].argsort(descending=True, stable=True) if len(rows) else rows
    last = len(subject.material.sides) - 1
    named: dict[tuple[int, ...], int] = {}
    for row in rows[order].tolist():
        couple = (row, int(near.rivals[row, 0]))
        # In a single set each may be the other's: once is enough.
        named.setdefault(couple if last else tuple(sorted(couple)), row)
        if len(named) == NAMED:
            break
    return [
        Rival(
            item=subject.named(0, row),
            partner=subject.named(last, int(near.partner[row])),
            cosine=float(near.own[row]),
            stranger=subject.named(last, int(near.rivals[row, 0])),
            stranger_cosine=float(near.rival_cosines[row, 0]),
            more=int(near.above[row]),
        )
        for row in named.values()
    ]


def _hubs(subject: _Subject, found: Measured) -> list[Hub]:
    import numpy as np

    order = np.argsort(-found.occurrence, kind="stable")[:HUBS]
    last = len(subject.material.sides) - 1
    return [Hub(subject.named(last, int(item)), int(found.occurrence[item])) for item in order]


def _gap(encoder: Any, material: Material, vectors: Any, seed: int) -> dict[str, float] | None:
    """The gap between two modalities, or between two towers of texts."""
    from nearfar import geometry
    from nearfar.models.towers.texts import has_text_towers

    if len(vectors) < 2 or material.partners is None or len(material.anchors) < geometry.LEAST_PAIRS:
        return None
    apart = material.sides[0].medium != material.sides[1].medium
    if not apart and (encoder is None or not has_text_towers(encoder)):
        return None
    return asdict(geometry.gap(vectors[0][material.anchors], vectors[1][material.partners], seed=seed))


def _points(material: Material, vectors: Any, how: _How) -> list[Point]:
    import numpy as np

    items = [(0, i) for i in range(len(material.sides[0]))]
    if len(material.sides) == 2:
        items += [(1, int(j)) for j in own_of_second(material)]
    chosen = np.sort(np.random.default_rng(how.seed).permutation(len(items))[:POINTS])
    flat = flat_map(union(material, vectors)[chosen], how.map, how.seed)
    points = []
    for row, (x, y) in zip(chosen, flat.tolist(), strict=True):
        side, item = items[row]
        of = material.sides[side]
        group = of.name if material.groups is None else material.groups[side][item]
        points.append(Point(round(x, 4), round(y, 4), shown(of.text(item)), group, of.name))
    return points
