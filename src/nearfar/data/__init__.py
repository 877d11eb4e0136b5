"""Reading the user's rows: schemas, tables, BEIR-format datasets. Importing this package imports nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfar.data.files import open_text, write_jsonl
    from nearfar.data.readers import load
    from nearfar.data.retrieval import Retrieval, load_corpus, load_retrieval, write_retrieval
    from nearfar.data.schemas import SCHEMAS, Schema, fitting, matching, parse_columns, text_columns

_HOME = {
    "SCHEMAS": "schemas",
    "Schema": "schemas",
    "fitting": "schemas",
    "matching": "schemas",
    "parse_columns": "schemas",
    "text_columns": "schemas",
    "load": "readers",
    "Retrieval": "retrieval",
    "load_corpus": "retrieval",
    "load_retrieval": "retrieval",
    "open_text": "files",
    "write_jsonl": "files",
    "write_retrieval": "retrieval",
}

__all__ = [
    "SCHEMAS",
    "Retrieval",
    "Schema",
    "fitting",
    "load",
    "load_corpus",
    "load_retrieval",
    "matching",
    "open_text",
    "parse_columns",
    "text_columns",
    "write_jsonl",
    "write_retrieval",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
