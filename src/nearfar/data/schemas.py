"""The shapes that a table of rows may have, and which of them fits a table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nearfar.data._hints import close_name, overlooked, suggest_columns
from nearfar.errors import InputError

#: A column that a table of any schema may have: the task of each row, for recipes that train on tasks in order.
TASK = "task"


@dataclass(frozen=True)
class Schema:
    """One kind of table, identified by its column names.

    Args:
        name: Its name in messages and for users.
        required: Columns that every row has.
        optional: Columns that a table may have; `negative_N` stands for `negative_1`, `negative_2`, ...
        description: What a row contains, in one line.
    """

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    description: str

    def pick(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that belong to this schema, in canonical order: `negative_2` before `negative_10`.

        The column `task`, which a table of any schema may have, comes last.
        """
        columns = (*self.required, *self.optional, TASK)
        return sorted({name for name in names if _family(name) in columns}, key=lambda n: _rank(n, columns))

    def fits(self, names: Collection[str]) -> bool:
        """Whether `names` contains every required column."""
        return all(name in names for name in self.required)

    def __str__(self) -> str:
        optional = f"[, {', '.join(self.optional)}]" if self.optional else ""
        return f"{self.name} ({', '.join(self.required)}{optional})"


SCHEMAS: Mapping[str, Schema] = {
    schema.name: schema
    for schema in (
        Schema("pairs", ("anchor", "positive"), ("negative", "negative_N"), "two texts that match, and negatives"),
        Schema("domain pairs", ("anchor", "positive", "domain"), ("negative", "negative_N"), "a pair and its domain"),
        Schema("scored pairs", ("sentence1", "sentence2", "score"), (), "two texts and their similarity"),
        Schema("ranked lists", ("query", "candidates", "scores"), (), "a query, candidate texts, a score for each"),
        Schema("dictionary", ("entry", "definition"), (), "a word or phrase and its definition"),
        Schema("rationales", ("question", "answer", "rationales"), (), "a question, its answer, and the reasons"),
        Schema("questions", ("question",), ("answer",), "a question, and its answer if it is known"),
        Schema(
            "true and false answers",
            ("question", "best_answer", "correct_answers", "incorrect_answers"),
            (),
            "a question, and true and false answers",
        ),
        Schema(
            "true and false completions",
            ("prefix", "completion", "contradictions"),
            (),
            "a text, how it goes on, and false continuations",
        ),
        Schema("dialogues", ("dialogue_id", "turns"), (), "a dialogue with its turns: speaker, text, acts, slots"),
        Schema(
            "turns",
            ("dialogue_id", "speaker", "text"),
            ("acts", "slots", "turn_id", "time", "date"),
            "one turn of a dialogue, in order",
        ),
        Schema(
            "domain dialogues",
            ("dialogue_id", "turns", "domain"),
            (),
            "a dialogue with its turns and domains; a turn may have frames: lists of act, slot, value",
        ),
        Schema(
            "domain turns",
            ("dialogue_id", "speaker", "text", "domain"),
            ("acts", "slots", "frames", "turn_id", "time", "date"),
            "one turn of a dialogue, in order, and its domains",
        ),
        Schema("interleaved", ("parts",), ("id",), "a document: a list of {text} or {image: the path of an image}"),
        Schema("image + text", ("image", "text"), ("label",), "the path of an image and a text about it"),
        Schema("audio + text", ("audio", "text"), ("label", "slots"), "the path of an audio file and a text about it"),
        Schema("image + label", ("image", "label"), (), "the path of an image and its class"),
        Schema("audio + label", ("audio", "label"), (), "the path of an audio file and its class"),
        Schema("image + attributes", ("image", "attributes"), (), "the path of an image and numbers that describe it"),
        Schema("audio + attributes", ("audio", "attributes"), (), "the path of an audio file and numbers about it"),
        Schema("text + attributes", ("text", "attributes"), (), "a text and numbers that describe it"),
        Schema("labelled", ("text", "label"), (), "a text and its class"),
        Schema("domain labelled", ("text", "label", "domain"), (), "a text, its class and its domain"),
        Schema("label texts", ("text", "labels"), (), "a text and the texts of its labels"),
        Schema("sentences", ("text",), (), "a text"),
        Schema("passages", ("text", "document"), (), "a passage, and the name of its document"),
        Schema("documents", ("text",), (), "a document; plain text files are read too"),
        Schema("images", ("image",), (), "the path of an image"),
        Schema("audio", ("audio",), (), "the path of an audio file"),
        Schema("retrieval", ("corpus.jsonl", "queries.jsonl", "qrels/*.tsv"), (), "a folder in BEIR format"),
    )
}

#: Schemas that a table has only where they are named, or where a recipe trains on them; without, it has no domains.
ONLY_BY_NAME = ("domain dialogues", "domain turns", "passages")
#: Maximum number of a file's columns in a message.
_SHOWN = 10
#: Columns of lists that CSV and TSV cannot represent.
LIST_COLUMNS = ("candidates", "scores", "labels", "attributes", "turns", "parts", "frames")
LIST_COLUMNS += ("correct_answers", "incorrect_answers", "contradictions")

_TEXTS = {"anchor", "positive", "negative", "negative_N", "sentence1", "sentence2", "text", "entry", "definition"}
_TEXTS |= {"question", "answer", "query", "best_answer", "prefix", "completion"}


def matching(column_names: Collection[str]) -> list[Schema]:
    """Return the schemas that fit a table with these columns, the one that uses most columns first.

    Those of `ONLY_BY_NAME` are not among them.
    """
    fits = [each for each in SCHEMAS.values() if each.fits(column_names) and each.name not in ONLY_BY_NAME]
    return sorted(fits, key=lambda schema: -len(schema.pick(column_names)))


def text_columns(schema: Schema, column_names: Iterable[str]) -> list[str]:
    """Return the columns of `schema` with one text per row, in canonical order: anchor, positive, negative, ...

    Columns outside the schema are not returned, nor scores, labels, paths, turns and other lists.
    """
    return [name for name in schema.pick(column_names) if _family(name) in _TEXTS]


def fitting(
    column_names: Collection[str],
    *,
    schema: str | None = None,
    file: str | Path | None = None,
    lists: Collection[str] | None = None,
) -> Schema:
    """Return the schema named `schema`, or the first that matches; it must fit the columns.

    Args:
        column_names: The columns of the table.
        schema: Name of the schema.
        file: Where the table comes from, for messages.
        lists: The columns that contain lists of texts, if known. Without a `schema`, a table whose `labels` are not
            such lists has the schema that fits its other columns.

    Raises:
        InputError: There is no such schema, or no schema fits the columns; the remedy suggests a `--columns` mapping.
    """
    shown = [repr(name) for name in column_names]
    found = ", ".join(shown[:_SHOWN]) + f" and {len(shown) - _SHOWN} more" * (len(shown) > _SHOWN) or "none"
    if schema is None:
        if matches := matching(column_names):
            usable = [s for s in matches if lists is None or "labels" not in s.required or "labels" in lists]
            return (usable or matches)[0]
        tables = [known for known in SCHEMAS.values() if known.name != "retrieval"]
        problem = f"no schema fits the columns {found}"
    elif schema not in SCHEMAS:
        near = close_name(schema, SCHEMAS)
        raise InputError(
            f"unknown schema {schema!r}",
            field="schema",
            remedy=f"did you mean {near!r}?" if near else "use a key of nearfar.data.SCHEMAS, such as 'pairs'",
        )
    elif SCHEMAS[schema].fits(column_names):
        return SCHEMAS[schema]
    else:
        tables = [SCHEMAS[schema]]
        missing = ", ".join(repr(name) for name in tables[0].required if name not in column_names)
        problem = f"the schema {schema!r} requires {missing}, got the columns {found}"
    raise InputError(problem, file=file, remedy=suggest_columns(column_names, [t.required for t in tables]))


def mapping_to(names: Collection[str], schemas: Iterable[str]) -> str | None:
    """A `--columns` mapping by which a table with these columns fits one of the schemas; None if it is unclear.

    Only columns that are commonly called so are mapped: `intent` to `label`.
    """
    for schema in schemas:
        wanted = SCHEMAS[schema].required
        missing = [name for name in wanted if name not in names]
        found = overlooked([name for name in names if name not in wanted], missing)
        if missing and len(found) == len(missing):
            return ",".join(f"{name}={column}" for name, column in found.items())
    return None


def parse_columns(text: str) -> dict[str, str]:
    """Parse a mapping such as `anchor=question,positive=answer`.

    Returns:
        Canonical column name -> name in the file.

    Raises:
        InputError: A part is not `name=column`, a name is unknown, or a name or column is listed twice.
    """
    mapping: dict[str, str] = {}
    for part in text.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not (name and equals and column):
            raise InputError(
                f"expected name=column, got {part.strip()!r} in {text!r}",
                field="columns",
                remedy="for example anchor=question,positive=answer",
            )
        _check_canonical(name, column)
        if name in mapping:
            raise InputError(f"{name!r} is listed twice in {text!r}", field="columns", remedy="list it once")
        if column in mapping.values():
            raise InputError(
                f"{column!r} is listed twice in {text!r}", field="columns", remedy="map each column to one name"
            )
        mapping[name] = column
    return mapping


def rename(names: Collection[str], columns: Mapping[str, str], file: str | Path) -> dict[str, str]:
    """Return canonical name -> name in the file for every column of a file, after applying the user's mapping.

    A mapped column has only its new name. A column that had this name before is no longer reachable.

    Raises:
        InputError: A canonical name is unknown, or the file has no such column.
    """
    for name, column in columns.items():
        _check_canonical(name, column if column not in names else "")
        if column not in names and name in names and _is_canonical(column):
            raise _reversed(name, column, file)
        if column not in names:
            near = close_name(column, names)
            raise InputError(
                f"no column {column!r} to use as {name!r}",
                file=file,
                field="columns",
                remedy=f"did you mean {near!r}?" if near else f"the columns are {', '.join(map(repr, names))}",
            )
    kept = {name: name for name in names if name not in columns.values()}
    return {**kept, **columns}


def _reversed(name: str, column: str, file: str | Path | None = None) -> InputError:
    problem = f"{name}={column} is reversed: the name of the schema is first, then the column of the file"
    return InputError(problem, file=file, field="columns", remedy=f"write {column}={name}")


def _known() -> list[str]:
    known = [column for schema in SCHEMAS.values() if schema.name != "retrieval" for column in _columns(schema)]
    return [*dict.fromkeys(known), TASK]


def _is_canonical(name: str) -> bool:
    return _family(name) in _known()


def _check_canonical(name: str, column: str) -> None:
    if not _is_canonical(name):
        known = _known()
        near = close_name(name, known)
        if column and near != column and _is_canonical(column):
            raise _reversed(name, column)
        raise InputError(
            f"{name!r} is not a column of any schema",
            field="columns",
            remedy=f"did you mean {near!r}?" if near else f"must be one of {', '.join(known)}",
        )


def _columns(schema: Schema) -> tuple[str, ...]:
    return (*schema.required, *schema.optional)


def _family(name: str) -> str:
    return "negative_N" if re.fullmatch(r"negative_[1-9][0-9]*", name) else name


def _rank(name: str, columns: tuple[str, ...]) -> tuple[int, int]:
    family = _family(name)
    return columns.index(family), int(name.removeprefix("negative_")) if family == "negative_N" else 0
