"""The prompts of a text encoder: what it puts before queries, documents and other texts, in training as in use."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nearfar.data.media import MEDIA
from nearfar.errors import InputError
from nearfar.models.routes import medium_of

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.models.encoding import Kind

__all__ = [
    "MODEL",
    "NONE",
    "column_kinds",
    "column_prompts",
    "parse_prompts",
    "prompt_of",
    "prompts_by_kind",
    "prompts_of",
    "quoted",
    "set_prompts",
    "without_prompts",
]

logger = logging.getLogger(__name__)

#: The option's values beside a JSON object: the model's own prompts, and none.
MODEL, NONE = "model", "none"
#: First columns whose texts are queries; the other columns are documents then.
_QUERIES = ("anchor", "query", "question")
#: Columns that are no texts, whatever they contain.
_NO_TEXT = (*MEDIA, "label", "labels", "score", "scores")
#: Names under which sentence-transformers looks for the prompt of documents.
_DOCUMENTS = ("document", "passage", "corpus")
_EXAMPLE = """write e.g. prompts='{"query": "query: ", "document": "passage: "}', or prompts=none"""


def parse_prompts(value: str) -> dict[str, str] | None:
    """The prompts that the option `prompts` sets, by role (`query`, `document`) or column; None: the model's own.

    Raises:
        InputError: neither `model`, `none` nor a JSON object of texts.
    """
    if value == MODEL:
        return None
    if value == NONE:
        return {}
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise InputError(f"expected a JSON object of texts, got {value!r}", field="prompts", remedy=_EXAMPLE)
    return found


def prompt_of(model: Any, kind: Kind | None) -> str:
    """What `nearfar.models.encoding.encode` puts before a text of this kind; empty where that is nothing.

    It is what `encode_query`, `encode_document` and `encode` of sentence-transformers choose. A prompt for passages
    that these ignore is logged as a warning. Models of other libraries have no prompts.
    """
    prompts = getattr(model, "prompts", None) or {}
    if not prompts:
        return ""
    names = {"query": ("query",), "document": _DOCUMENTS, None: ()}[kind] if medium_of(model) is None else ()
    for name in names:
        if name in prompts:
            if not prompts[name] and (ignored := next((each for each in names if prompts.get(each)), None)):
                logger.warning("the model's prompt %r is not used: its prompt 'document' is empty", ignored)
            return prompts[name] or ""
    return prompts.get(model.default_prompt_name or "") or ""


def prompts_of(model: Any, kinds: Sequence[Kind | None] = ("query", "document", None)) -> dict[str, str]:
    """The prompts that a model puts before queries (`query`), documents (`document`) and other texts (`text`).

    Args:
        model: The model.
        kinds: Which of these texts are encoded.

    Returns:
        Those that are not empty.
    """
    found = {kind or "text": prompt_of(model, kind) for kind in kinds}
    return {name: prompt for name, prompt in found.items() if prompt}


def quoted(prompts: Mapping[str, str]) -> str:
    """Prompts by name in one line."""
    return ", ".join(f"{name} {prompt!r}" for name, prompt in prompts.items()) or "none"


@contextmanager
def without_prompts(model: SentenceTransformer) -> Iterator[None]:
    """A model that puts nothing before texts, until the context ends."""
    prompts, default = model.prompts, model.default_prompt_name
    model.prompts, model.default_prompt_name = {}, None
    try:
        yield
    finally:
        model.prompts, model.default_prompt_name = prompts, default


def column_prompts(model: SentenceTransformer, rows: Dataset) -> dict[str, str]:
    """The prompt of each column that has one, as the model is measured with it."""
    found = {name: prompt_of(model, kind) for name, kind in column_kinds(rows).items()}
    return {name: prompt for name, prompt in found.items() if prompt}


def set_prompts(model: SentenceTransformer, prompts: Mapping[str, str], parts: Sequence[Dataset]) -> None:
    """Give a model other prompts, in place: it is trained, saved and used with them.

    Args:
        model: The model.
        prompts: By role or column, see `parse_prompts`; no others are left.
        parts: The rows that it is trained on.

    Raises:
        InputError: as `prompts_by_kind`.
    """
    found = prompts_by_kind(prompts, parts)
    # Empty prompts keep sentence-transformers from falling back on the default one.
    set_to: Any = {"query": found.get("query", ""), "document": found.get("document", "")}
    model.default_prompt_name = None
    if found.get(None):
        set_to["text"] = found[None]
        model.default_prompt_name = "text"
    model.prompts = set_to


def prompts_by_kind(prompts: Mapping[str, str], parts: Sequence[Dataset]) -> dict[Kind | None, str]:
    """The prompt of queries, of documents and of texts that are neither, from prompts by role or column.

    Raises:
        InputError: a name that is no role and no column of the rows, or several prompts for one role.
    """
    kinds: dict[str, Kind | None] = {name: kind for rows in parts for name, kind in column_kinds(rows).items()}
    by_kind: dict[Kind | None, dict[str, str]] = {}
    for name, kind in kinds.items():
        key: str | None = name if name in prompts else kind
        if key is not None and key in prompts:
            by_kind.setdefault(kind, {})[name] = prompts[key]
    known = [*kinds, *(kind for kind in kinds.values() if kind)]
    for name in prompts:
        if name not in known:
            problem = f"{name!r} is no column of the rows"
            raise InputError(problem, field="prompts", remedy=f"choose from {', '.join(dict.fromkeys(known))}")
    for columns in by_kind.values():
        if len(set(columns.values())) > 1:
            problem = f"{', '.join(columns)} have different prompts, and the trained model can keep only one for them"
            raise InputError(problem, field="prompts", remedy="give them the same")
    return {kind: next(iter(columns.values())) for kind, columns in by_kind.items()}


def column_kinds(rows: Dataset) -> dict[str, Kind | None]:
    """Of each column of texts, whether these are queries, documents or neither.

    Where the first is `anchor`, `query` or `question`, the others are documents. Texts that are paired with themselves
    are neither.
    """
    kinds = {name: getattr(feature, "dtype", None) for name, feature in rows.features.items()}
    names = [name for name, kind in kinds.items() if kind in ("string", "large_string") and name not in _NO_TEXT]
    if len(names) < 2 or names[0] not in _QUERIES or _paired_with_themselves(rows, names):
        return dict.fromkeys(names, None)
    return {name: "document" if number else "query" for number, name in enumerate(names)}


def _paired_with_themselves(rows: Dataset, names: Sequence[str]) -> bool:
    tables: Any = rows.select_columns(list(names[:2])).with_format("arrow").iter(10_000)
    return all(table.column(0).equals(table.column(1)) for table in tables)
