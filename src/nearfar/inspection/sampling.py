"""From data to the sample that is inspected: which columns make which side, and which rows are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.media import medium_in, undecoded
from nearfar.data.retrieval import Retrieval, is_retrieval_folder
from nearfar.data.stored import as_stored
from nearfar.errors import InputError
from nearfar.inspection.pairs import (
    LOW_SCORE,
    excluded_pairs,
    positive_pairs,
    positive_pairs_of_labels,
    sampled_negatives,
    sampled_negatives_of_labels,
)
from nearfar.inspection.sample import Medium, Sample, Side, anchors_of
from nearfar.inspection.unique import unique_values
from nearfar.models.prompts import column_kinds

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

    from nearfar.inspection.options import InspectOptions

#: Items without which a space cannot be measured.
LEAST_ITEMS = 3

_TWO_COLUMNS = {
    "pairs": ("anchor", "positive"),
    "domain pairs": ("anchor", "positive"),
    "dictionary": ("entry", "definition"),
    "rationales": ("question", "answer"),
    "scored pairs": ("sentence1", "sentence2"),
    "image + text": ("image", "text"),
    "audio + text": ("audio", "text"),
}
_ONE_COLUMN = {
    "labelled": "text",
    "domain labelled": "text",
    "sentences": "text",
    "turns": "text",
    "image + label": "image",
    "audio + label": "audio",
    "image + attributes": "image",
    "audio + attributes": "audio",
    "text + attributes": "text",
    "images": "image",
    "audio": "audio",
}


def read(source: str | Path | Dataset | Retrieval, options: InspectOptions) -> Dataset | Retrieval:
    """Rows (also a folder of images or audio), or a retrieval set if `source` is one or a folder in BEIR format."""
    from nearfar.data import load, load_retrieval
    from nearfar.data.encodable import folder_of_files

    if isinstance(source, Retrieval):
        return source
    if is_retrieval_folder(source):
        return load_retrieval(source, options.split)
    files = folder_of_files(source, skip_broken=options.skip_broken)
    if files is not None:
        return files
    return load(source, columns=options.columns, split=options.split or "train", skip_broken=options.skip_broken)


def draw_sample(data: Dataset | Retrieval, limit: int, seed: int = 0) -> Sample:
    """The sample of rows or of a retrieval set.

    Equal texts of a side become one item. Of more than `limit` rows, `limit` are drawn; of a retrieval set `limit`
    queries, the documents that are relevant to them, and further documents up to `limit`.

    Args:
        data: What `read` returns.
        limit: Maximum number of rows.
        seed: Random seed of the rows and of the sampled pairs.

    Raises:
        InputError: fewer than three items, or rows without texts, images or audio.
    """
    import numpy as np

    from nearfar.data.schemas import fitting

    rng = np.random.default_rng(seed)
    if isinstance(data, Retrieval):
        return _of_retrieval(data, limit, rng)
    schema = fitting(data.column_names).name
    if schema not in _TWO_COLUMNS and schema not in _ONE_COLUMN:
        remedy = "pass texts, pairs, scored pairs, labelled texts, images or audio with texts, or a BEIR-format dataset"
        if schema == "questions" and "answer" in data.column_names:
            remedy = "map the columns with --columns anchor=question,positive=answer"
        raise InputError(f"expected rows of texts, images or audio, got {schema}", remedy=remedy)
    chosen = np.sort(rng.permutation(len(data))[:limit])
    rows = as_stored(data).select(chosen)
    draw = _of_one_column if schema in _ONE_COLUMN else _of_two_columns
    return draw(rows, schema, chosen, len(data), rng)


def _of_one_column(rows: Dataset, schema: str, chosen: np.ndarray, total: int, rng: np.random.Generator) -> Sample:
    import numpy as np

    name = _ONE_COLUMN[schema]
    values, medium = _column(rows, name)
    unique = unique_values(values)
    side = Side(name, unique.values, chosen[unique.rows].tolist(), medium)
    _require_items(side)
    none = np.empty((0, 2), dtype=np.int64)
    everyone = np.arange(len(side))
    if "label" not in rows.column_names:
        negatives = sampled_negatives(everyone, np.stack([everyone, everyone], axis=1), len(side), rng)
        return Sample(schema, total, len(rows), (side,), none, none, negatives)
    names = _label_names(rows, "label")
    groups = [names[row] for row in unique.rows]
    labels = np.unique(groups, return_inverse=True)[1]
    positives = positive_pairs_of_labels(labels, rng)
    notes = ()
    if not len(positives):
        notes = ("no two different items share a label: there is no tolerance and no similarity within labels",)
    return Sample(
        schema=schema,
        total=total,
        rows=len(rows),
        sides=(side,),
        positives=positives,
        excluded=none,
        negatives=sampled_negatives_of_labels(anchors_of(positives, len(side)), labels, rng),
        labels=labels,
        groups=(groups,),
        notes=notes,
    )


def _of_two_columns(rows: Dataset, schema: str, chosen: np.ndarray, total: int, rng: np.random.Generator) -> Sample:
    import numpy as np

    names = _TWO_COLUMNS[schema]
    (first_values, first_medium), (second_values, second_medium) = (_column(rows, name) for name in names)
    hard = [rows[name][:] for name in rows.column_names if name.startswith("negative")]
    a, b = unique_values(first_values), unique_values(second_values, *hard)
    kinds = column_kinds(rows)
    first = Side(names[0], a.values, chosen[a.rows].tolist(), first_medium, kinds.get(names[0]))
    second = Side(names[1], b.values, chosen[b.rows].tolist(), second_medium, kinds.get(names[1]))
    _require_items(second)
    pairs = np.stack([a.ids[:, 0], b.ids[:, 0]], axis=1)
    named_pairs, scores = {}, None
    if hard:
        named_pairs["hard negatives"] = np.stack([np.tile(a.ids[:, 0], len(hard)), b.ids[:, 1:].T.ravel()], axis=1)
    if schema == "scored pairs":
        scores = _unit_scores(rows)
        named_pairs["low scores"] = pairs[scores <= LOW_SCORE]
    positives = positive_pairs(pairs, scores)
    excluded = excluded_pairs(first, second, None if scores is None else pairs)
    anchors = anchors_of(positives, len(first))
    labels, groups = _groups(rows, a.rows, b.rows)
    return Sample(
        schema=schema,
        total=total,
        rows=len(rows),
        sides=(first, second),
        positives=positives,
        excluded=excluded,
        negatives=sampled_negatives(anchors, np.concatenate([positives, excluded]), len(second), rng),
        labels=labels,
        groups=groups,
        named_pairs={name: found for name, found in named_pairs.items() if len(found)},
        scored=None if scores is None else (pairs, scores),
    )


def _of_retrieval(data: Retrieval, limit: int, rng: np.random.Generator) -> Sample:
    import numpy as np

    wanted = list(data.queries)
    queries = [wanted[row] for row in np.sort(rng.permutation(len(wanted))[:limit])]
    texts = {id_: text for id_, text in data.corpus.items() if text.strip()}
    relevant = dict.fromkeys(id_ for query in queries for id_ in data.relevant[query] if id_ in texts)
    others = [id_ for id_ in texts if id_ not in relevant]
    room = max(0, limit - len(relevant))
    documents = [*relevant, *(others[row] for row in np.sort(rng.permutation(len(others))[:room]))]
    asked = unique_values([data.queries[id_] for id_ in queries])
    answers = unique_values([texts[id_] for id_ in documents])
    first = Side("query", asked.values, [queries[row] for row in asked.rows], kind="query")
    second = Side("document", answers.values, [documents[row] for row in answers.rows], kind="document")
    _require_items(second)
    item_of = dict(zip(documents, answers.ids[:, 0].tolist(), strict=True))
    pairs = [
        (item, item_of[id_])
        for query, item in zip(queries, asked.ids[:, 0].tolist(), strict=True)
        for id_ in data.relevant[query]
        if id_ in item_of
    ]
    positives = positive_pairs(np.asarray(pairs, dtype=np.int64).reshape(-1, 2))
    excluded = excluded_pairs(first, second)
    anchors = anchors_of(positives, len(first))
    notes = ()
    if len(documents) < len(texts):
        notes = (f"{len(documents):,} of {len(data.corpus):,} documents are used: the relevant ones, and a sample",)
    return Sample(
        schema="retrieval",
        total=len(data.queries),
        rows=len(queries),
        sides=(first, second),
        positives=positives,
        excluded=excluded,
        negatives=sampled_negatives(anchors, np.concatenate([positives, excluded]), len(second), rng),
        notes=notes,
    )


def _column(rows: Dataset, name: str) -> tuple[list[Any], Medium]:
    medium = medium_in([name])
    if medium is None:
        return rows[name][:], "text"
    return undecoded(rows, medium)[medium][:], medium


def _label_names(rows: Dataset, column: str) -> list[str]:
    feature: Any = rows.features[column]
    values = rows[column][:]
    names = getattr(feature, "names", None)
    return [names[value] for value in values] if names else [str(value) for value in values]


def _groups(
    rows: Dataset, first_rows: np.ndarray, second_rows: np.ndarray
) -> tuple[np.ndarray | None, tuple[list[str], ...] | None]:
    """Labels of the first side's items, and names of both sides' groups, where there is a label or a domain."""
    import numpy as np

    column = next((name for name in ("label", "domain") if name in rows.column_names), None)
    if column is None:
        return None, None
    names = _label_names(rows, column)
    groups = tuple([names[row] for row in of_side] for of_side in (first_rows, second_rows))
    return np.unique(groups[0], return_inverse=True)[1] if column == "label" else None, groups


def _unit_scores(rows: Dataset) -> np.ndarray:
    import numpy as np

    from nearfar.data.scores import with_unit_scores

    return np.asarray(with_unit_scores(rows)["score"][:])


def _require_items(side: Side) -> None:
    if len(side) < LEAST_ITEMS:
        raise InputError(
            f"expected at least {LEAST_ITEMS} different items, got {len(side)}", field=side.name, remedy="add rows"
        )
