"""From rows to what is looked at: which columns make which sides, and which rows are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.media import medium_in, undecoded
from nearfar.data.retrieval import Retrieval, is_retrieval_folder
from nearfar.data.stored import as_stored
from nearfar.errors import InputError
from nearfar.inspection.material import (
    Kind,
    Material,
    Medium,
    Side,
    keys,
    numbered,
    partners_by_labels,
    same_text,
    strangers_by_labels,
    strangers_by_pairs,
)

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

#: Scores, scaled to [0, 1], from which two texts count as belonging together: 4 of 5, as in Gao et al. 2021 (SimCSE),
#: who measure alignment on such pairs.
HIGH = 0.8
#: And up to which they count as rated apart.
LOW = 0.2

_TWO_SIDED = {
    "pairs": ("anchor", "positive"),
    "domain pairs": ("anchor", "positive"),
    "dictionary": ("entry", "definition"),
    "rationales": ("question", "answer"),
    "scored pairs": ("sentence1", "sentence2"),
    "image + text": ("image", "text"),
    "audio + text": ("audio", "text"),
}
_ONE_SIDED = {
    "labelled": "text",
    "domain labelled": "text",
    "sentences": "text",
    "turns": "text",
    "image + label": "image",
    "audio + label": "audio",
}
_ASKING: tuple[Kind, Kind] = ("query", "document")


def read(
    source: str | Path | Dataset | Retrieval,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    *,
    skip_broken: bool = False,
) -> Dataset | Retrieval:
    """Rows, or a retrieval set where `source` is a folder of one.

    Args:
        source: A file, a folder, a hub id, a retrieval folder; or one of these read already.
        columns: Canonical column name -> name in the file.
        split: Which split where there are several: of rows `train` when None, of retrieval sets `test`.
        skip_broken: Leave out rows whose picture or recording is broken.
    """
    from nearfar.data import load, load_retrieval

    if isinstance(source, Retrieval):
        return source
    if is_retrieval_folder(source):
        return load_retrieval(source, split)
    return load(source, columns=columns, split=split or "train", skip_broken=skip_broken)


def build(data: Dataset | Retrieval, limit: int, seed: int = 0) -> Material:
    """What is looked at of rows or of a retrieval set.

    Equal texts of a side become one item. Of more than `limit` rows so many are drawn; of a retrieval set so many
    queries, the documents that answer them, and further documents up to `limit`.

    Args:
        data: What `read` gives.
        limit: Rows to look at.
        seed: Decides which, and which similarities are taken of them.

    Raises:
        InputError: fewer than two items, or rows that hold no texts, pictures or recordings.
    """
    import numpy as np

    from nearfar.data.schemas import fitting

    rng = np.random.default_rng(seed)
    if isinstance(data, Retrieval):
        return _of_retrieval(data, limit, rng)
    schema = fitting(data.column_names).name
    if schema not in _TWO_SIDED and schema not in _ONE_SIDED:
        remedy = "give texts, pairs, scored pairs, labelled texts, pictures or recordings with texts, or retrieval"
        raise InputError(f"{schema} hold no single texts to look at", remedy=remedy)
    chosen = np.sort(rng.permutation(len(data))[:limit])
    rows = as_stored(data).select(chosen)
    if schema in _ONE_SIDED:
        return _one_sided(rows, schema, _ONE_SIDED[schema], chosen, len(data), rng)
    return _two_sided(rows, schema, _TWO_SIDED[schema], chosen, len(data), rng)


def label_names(rows: Dataset, column: str) -> list[str]:
    """A column of labels, in words."""
    feature: Any = rows.features[column]
    values = rows[column][:]
    names = getattr(feature, "names", None)
    return [names[value] for value in values] if names else [str(value) for value in values]


def _one_sided(
    rows: Dataset, schema: str, column: str, chosen: np.ndarray, total: int, rng: np.random.Generator
) -> Material:
    import numpy as np

    values, medium = _column(rows, column)
    _, first = numbered(values)
    side = Side(column, [values[row] for row in first], [int(chosen[row]) for row in first], medium)
    _enough(side)
    labels = groups = partners = None
    anchors = np.arange(len(side))
    nothing = np.empty((0, 2), dtype=np.int64)
    notes = ()
    if "label" in rows.column_names:
        names = label_names(rows, "label")
        groups = [names[row] for row in first]
        labels = np.unique(groups, return_inverse=True)[1]
        anchors, partners = partners_by_labels(labels, rng)
        if not len(anchors):
            notes = ("no two different items share a label: tolerance and similarities of a label are left out",)
            anchors, partners = np.arange(len(side)), None
        strangers = strangers_by_labels(anchors, labels, rng)
    else:
        own = np.stack([anchors, anchors], axis=1)
        strangers = strangers_by_pairs(anchors, keys(own, len(side)), len(side), rng)
    return Material(
        schema=schema,
        total=total,
        looked_at=len(chosen),
        sides=(side,),
        paired=nothing,
        barred=nothing,
        labels=labels,
        groups=None if groups is None else (groups,),
        anchors=anchors,
        partners=partners,
        strangers=strangers,
        similar={},
        scored=None,
        notes=notes,
    )


def _two_sided(
    rows: Dataset, schema: str, columns: tuple[str, str], chosen: np.ndarray, total: int, rng: np.random.Generator
) -> Material:
    import numpy as np

    (a_values, a_medium), (b_values, b_medium) = (_column(rows, name) for name in columns)
    negatives = [name for name in rows.column_names if name.startswith("negative")]
    further = [text for name in negatives for text in rows[name][:]]
    a_ids, a_first = numbered(a_values)
    b_ids, b_first = numbered([*b_values, *further])
    kinds: Sequence[Kind | None] = (None, None) if schema == "scored pairs" else _ASKING
    n = len(rows)
    a = Side(columns[0], [a_values[row] for row in a_first], [int(chosen[row]) for row in a_first], a_medium, kinds[0])
    b = Side(
        columns[1],
        [b_values[row] if row < n else further[row - n] for row in b_first],
        [int(chosen[row % n]) for row in b_first],
        b_medium,
        kinds[1],
    )
    _enough(b)
    couples = np.stack([a_ids, b_ids[:n]], axis=1)
    barred = same_text(a, b)
    similar, scored = {}, None
    paired = couples
    if negatives:
        similar["given negatives"] = np.stack([np.tile(a_ids, len(negatives)), b_ids[n:]], axis=1)
    if schema == "scored pairs":
        from nearfar.data.scores import with_unit_scores

        score = np.asarray(with_unit_scores(rows)["score"][:])
        paired, barred = couples[score >= HIGH], np.concatenate([barred, couples])
        scored = (couples, score)
        similar["scored low"] = couples[score <= LOW]
    known = np.union1d(keys(couples, len(b)), keys(barred, len(b)))
    unique = np.unique(paired, axis=0)
    anchors, partners = unique[:, 0], unique[:, 1]
    if not len(anchors):
        anchors, partners = np.arange(len(a)), None
    names = next((name for name in ("label", "domain") if name in rows.column_names), None)
    groups = labels = None
    if names is not None:
        of_row = label_names(rows, names)
        groups = ([of_row[row] for row in a_first], [of_row[row % n] for row in b_first])
        labels = np.unique(groups[0], return_inverse=True)[1] if names == "label" else None
    return Material(
        schema=schema,
        total=total,
        looked_at=n,
        sides=(a, b),
        paired=unique,
        barred=barred,
        labels=labels,
        groups=groups,
        anchors=anchors,
        partners=partners,
        strangers=strangers_by_pairs(anchors, known, len(b), rng),
        similar={name: found for name, found in similar.items() if len(found)},
        scored=scored,
    )


def _of_retrieval(data: Retrieval, limit: int, rng: np.random.Generator) -> Material:
    import numpy as np

    wanted = list(data.queries)
    queries = [wanted[row] for row in np.sort(rng.permutation(len(wanted))[:limit])]
    answers = dict.fromkeys(id_ for query in queries for id_ in data.relevant[query] if data.corpus[id_].strip())
    others = [id_ for id_ in data.corpus if id_ not in answers and data.corpus[id_].strip()]
    room = max(0, limit - len(answers))
    documents = [*answers, *(others[row] for row in np.sort(rng.permutation(len(others))[:room]))]
    texts = [data.corpus[id_] for id_ in documents]
    ids, first = numbered(texts)
    place = dict(zip(documents, ids, strict=True))
    asked, first_asked = numbered([data.queries[id_] for id_ in queries])
    a = Side(
        "query", [data.queries[queries[row]] for row in first_asked], [queries[r] for r in first_asked], kind="query"
    )
    b = Side("document", [texts[row] for row in first], [documents[row] for row in first], kind="document")
    _enough(b)
    couples = [
        (asked[row], place[id_]) for row, query in enumerate(queries) for id_ in data.relevant[query] if id_ in place
    ]
    paired = np.unique(np.asarray(couples, dtype=np.int64).reshape(-1, 2), axis=0)
    barred = same_text(a, b)
    known = np.union1d(keys(paired, len(b)), keys(barred, len(b)))
    notes = ()
    if len(documents) < len(others) + len(answers):
        notes = (
            f"{len(documents):,} of {len(data.corpus):,} documents are looked at: those that answer, and others drawn",
        )
    return Material(
        schema="retrieval",
        total=len(data.queries),
        looked_at=len(queries),
        sides=(a, b),
        paired=paired,
        barred=barred,
        labels=None,
        groups=None,
        anchors=paired[:, 0],
        partners=paired[:, 1],
        strangers=strangers_by_pairs(paired[:, 0], known, len(b), rng),
        similar={},
        scored=None,
        notes=notes,
    )


def _column(rows: Dataset, name: str) -> tuple[list[Any], Medium]:
    medium = medium_in([name])
    if medium is None:
        return rows[name][:], "text"
    return undecoded(rows, medium)[medium][:], medium


def _enough(side: Side) -> None:
    if len(side) < 3:
        raise InputError(
            f"{len(side)} different rows say nothing about a space", field=side.name, remedy="give at least 3"
        )
