"""The shapes a table of rows may have, and which of them a table fits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nearfar.data._hints import close_name, suggest_columns
from nearfar.errors import InputError

#: A column that rows of any schema may have: the task of a stream that they belong to.
TASK = "task"


@dataclass(frozen=True)
class Schema:
    """One kind of table, known by its column names.

    Args:
        name: How users and messages call it.
        required: Columns that every row has.
        optional: Columns that a table may have; `negative_N` stands for `negative_1`, `negative_2`, ...
        description: One line on what a row means.
    """

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    description: str

    def pick(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that belong to this schema, in canonical order: `negative_2` before `negative_10`.

        The column `task`, which says of any row to which task of a stream it belongs, comes last.
        """
        columns = (*self.required, *self.optional, TASK)
        return sorted({name for name in names if _family(name) in columns}, key=lambda n: _rank(n, columns))

    def fits(self, names: Collection[str]) -> bool:
        """Say whether `names` holds every required column."""
        return all(name in names for name in self.required)

    def __str__(self) -> str:
        optional = f"[, {', '.join(self.optional)}]" if self.optional else ""
        return f"{self.name} ({', '.join(self.required)}{optional})"


SCHEMAS: Mapping[str, Schema] = {
    schema.name: schema
    for schema in (
        Schema("pairs", ("anchor", "positive"), ("negative", "negative_N"), "texts that belong together"),
        Schema("domain pairs", ("anchor", "positive", "domain"), ("negative", "negative_N"), "pairs of named domains"),
        Schema("scored pairs", ("sentence1", "sentence2", "score"), (), "two texts and how similar they are"),
        Schema("dictionary", ("entry", "definition"), (), "a word or phrase and what it means"),
        Schema("rationales", ("question", "answer", "rationales"), (), "a question, its answer, the reasons for it"),
        Schema("ranked lists", ("query", "candidates", "scores"), (), "a query, its candidates, and a score for each"),
        Schema("label texts", ("text", "labels"), (), "a text and the texts of its labels"),
        Schema("dialogues", ("dialogue_id", "turns"), (), "a dialogue with its turns: speaker, text, acts, slots"),
        Schema("turns", ("dialogue_id", "speaker", "text"), ("acts", "slots"), "one turn of a dialogue, in order"),
        Schema("image + text", ("image", "text"), ("label",), "the path of a picture and a text about it"),
        Schema("audio + text", ("audio", "text"), ("label",), "the path of a recording and a text about it"),
        Schema("image + label", ("image", "label"), (), "the path of a picture and its class"),
        Schema("audio + label", ("audio", "label"), (), "the path of a recording and its class"),
        Schema("labelled", ("text", "label"), (), "a text and its class"),
        Schema("domain labelled", ("text", "label", "domain"), (), "a text, its class, and the domain it comes from"),
        Schema("sentences", ("text",), (), "texts alone"),
        Schema("documents", ("text",), (), "documents: plain text, or a table with one in each row"),
        Schema("images", ("image",), (), "paths of pictures alone"),
        Schema("recordings", ("audio",), (), "paths of recordings alone"),
        Schema("retrieval", ("corpus.jsonl", "queries.jsonl", "qrels/*.tsv"), (), "a folder in BEIR's layout"),
    )
}

_TEXTS = {"anchor", "positive", "negative", "negative_N", "sentence1", "sentence2", "text", "entry", "definition"}
_TEXTS |= {"question", "answer", "query"}


def matching(column_names: Collection[str]) -> list[Schema]:
    """Return the schemas that a table with these columns fits, the one that uses most columns first."""
    fits = [schema for schema in SCHEMAS.values() if schema.fits(column_names)]
    return sorted(fits, key=lambda schema: -len(schema.pick(column_names)))


def text_columns(schema: Schema, column_names: Iterable[str]) -> list[str]:
    """Return the columns of `schema` that hold one text a row, in canonical order: anchor, positive, negative, ...

    Columns outside the schema are left out; so are scores, labels, paths, turns and lists of rationales.
    """
    return [name for name in schema.pick(column_names) if _family(name) in _TEXTS]


def fitting(column_names: Collection[str], *, schema: str | None = None, file: str | Path | None = None) -> Schema:
    """Return the schema named `schema`, or the first that matches; either must fit the columns.

    Raises:
        InputError: No such schema, or the columns fit none; the remedy proposes a `--columns` mapping.
    """
    found = ", ".join(repr(name) for name in column_names) or "none"
    if schema is None:
        if matches := matching(column_names):
            return matches[0]
        tables = [known for known in SCHEMAS.values() if known.name != "retrieval"]
        known = "; ".join(f"{table.name}: {', '.join(table.required)}" for table in tables)
        problem = f"the columns {found} fit no schema ({known})"
    elif schema not in SCHEMAS:
        near = close_name(schema, SCHEMAS)
        raise InputError(
            f"no schema is called {schema!r}",
            field="schema",
            remedy=f"did you mean {near!r}?" if near else f"choose one of: {', '.join(SCHEMAS)}",
        )
    elif SCHEMAS[schema].fits(column_names):
        return SCHEMAS[schema]
    else:
        tables = [SCHEMAS[schema]]
        missing = ", ".join(repr(name) for name in tables[0].required if name not in column_names)
        problem = f"the schema {schema!r} needs {missing}, and the columns are {found}"
    raise InputError(problem, file=file, remedy=suggest_columns(column_names, [t.required for t in tables]))


def parse_columns(text: str) -> dict[str, str]:
    """Read a mapping such as `anchor=question,positive=answer`.

    Returns:
        Canonical column name -> name in the file.

    Raises:
        InputError: A part is not `name=column`, a name is unknown, or something is named twice.
    """
    mapping: dict[str, str] = {}
    for part in text.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not (name and equals and column):
            raise InputError(
                f"{part.strip()!r} in {text!r} is not of the form name=column",
                field="columns",
                remedy="write for example anchor=question,positive=answer",
            )
        _check_canonical(name)
        if name in mapping:
            raise InputError(f"{name!r} is given twice in {text!r}", field="columns", remedy="give it once")
        if column in mapping.values():
            raise InputError(
                f"{column!r} is used twice in {text!r}", field="columns", remedy="map each column to one name"
            )
        mapping[name] = column
    return mapping


def rename(names: Collection[str], columns: Mapping[str, str], file: str | Path) -> dict[str, str]:
    """Return canonical name -> name in the file for every column of a file, after the user's mapping.

    A mapped column is known by its new name alone, and takes that name from a column that bore it.

    Raises:
        InputError: A canonical name is unknown, or the file has no such column.
    """
    for name, column in columns.items():
        _check_canonical(name)
        if column not in names:
            near = close_name(column, names)
            raise InputError(
                f"there is no column {column!r} to use as {name!r}",
                file=file,
                field="columns",
                remedy=f"did you mean {near!r}?" if near else f"the columns are {', '.join(map(repr, names))}",
            )
    kept = {name: name for name in names if name not in columns.values()}
    return {**kept, **columns}


def _check_canonical(name: str) -> None:
    known = [column for schema in SCHEMAS.values() if schema.name != "retrieval" for column in _columns(schema)] + [
        TASK
    ]
    if _family(name) not in known:
        near = close_name(name, known)
        raise InputError(
            f"{name!r} is no column of any schema",
            field="columns",
            remedy=f"did you mean {near!r}?" if near else f"choose from {', '.join(dict.fromkeys(known))}",
        )


def _columns(schema: Schema) -> tuple[str, ...]:
    return (*schema.required, *schema.optional)


def _family(name: str) -> str:
    return "negative_N" if re.fullmatch(r"negative_[1-9][0-9]*", name) else name


def _rank(name: str, columns: tuple[str, ...]) -> tuple[int, int]:
    family = _family(name)
    return columns.index(family), int(name.removeprefix("negative_")) if family == "negative_N" else 0
