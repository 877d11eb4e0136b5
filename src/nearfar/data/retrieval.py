"""Retrieval sets: a corpus, queries, and which document answers which query."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from nearfar.data._delimited import tsv_cells
from nearfar.data._hints import close_name
from nearfar.data._json import kind_of, objects
from nearfar.data.files import check_file, list_folder, write_jsonl
from nearfar.errors import InputError
from nearfar.writing import write_text


@dataclass(frozen=True)
class Retrieval:
    """A retrieval set.

    Args:
        corpus: Document id -> text; the title, where there is one, stands before it. A text may be empty.
        queries: Query id -> text, for the queries that have a relevant document.
        relevant: Query id -> document id -> grade, 1 or more.
    """

    corpus: dict[str, str]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]


def is_retrieval_folder(source: object) -> TypeGuard[str | Path]:
    """Whether a source is a folder in BEIR's layout: one that holds a `corpus.jsonl`."""
    if not isinstance(source, (str, Path)):
        return False
    folder = Path(source).expanduser()
    return folder.is_dir() and any(folder.glob("corpus.jsonl*"))


def load_retrieval(folder: str | Path, split: str | None = None) -> Retrieval:
    """Read a folder in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`, each also with `.gz`.

    The flat layout is read too: `qrels-SPLIT.tsv` beside the corpus, and `queries-SPLIT.jsonl` where each split has its
    own queries. Pairs graded 0 or below are judged irrelevant and left out, as are queries without a relevant document.

    Args:
        folder: The folder.
        split: Which qrels to read; by default `test` if there is one, else the only one.

    Raises:
        InputError: A file is missing, an id stands twice or is unknown, a query is empty, nothing is relevant.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        check_file(folder)
        raise InputError("is a file, not a folder", file=folder, remedy="give the folder that holds corpus.jsonl")
    entries = list_folder(folder)
    corpus_file = _one_of(folder, entries, ("corpus.jsonl",))
    split, qrels_file = _qrels_file(folder, entries, split)
    queries_file = _one_of(folder, entries, (f"queries-{split}.jsonl", f"queries_{split}.jsonl", "queries.jsonl"))

    corpus = _texts(corpus_file, with_title=True)
    queries = _texts(queries_file, with_title=False)
    relevant: dict[str, dict[str, int]] = {}
    for line, query, document, grade in _judgements(qrels_file):
        _check_known(query, queries, queries_file, qrels_file, line, "query-id")
        _check_known(document, corpus, corpus_file, qrels_file, line, "corpus-id")
        if grade > 0 and relevant.setdefault(query, {}).setdefault(document, grade) != grade:
            raise InputError(
                f"query {query!r} and document {document!r} were graded {relevant[query][document]} before",
                file=qrels_file,
                line=line,
                field="score",
                remedy="keep one of the lines",
            )
    if not relevant:
        raise InputError("no pair is relevant", file=qrels_file, remedy="grade at least one pair 1 or more")
    return Retrieval(corpus, {query: text for query, text in queries.items() if query in relevant}, relevant)


def load_corpus(file: str | Path) -> dict[str, str]:
    """Read a `corpus.jsonl` in BEIR's layout: document id -> title and text.

    Raises:
        InputError: The file cannot be read, or an id stands twice.
    """
    return _texts(Path(file).expanduser(), with_title=True)


def write_retrieval(found: Retrieval, folder: str | Path, split: str = "test") -> None:
    """Write a folder in BEIR's layout that `load_retrieval` reads back; each file is written whole or not at all."""
    folder = Path(folder)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, texts in (("corpus.jsonl", found.corpus), ("queries.jsonl", found.queries)):
        write_jsonl(({"_id": id_, "text": text} for id_, text in texts.items()), folder / name)
    lines = ["query-id\tcorpus-id\tscore"]
    lines += [f"{query}\t{document}\t{grade}" for query, of in found.relevant.items() for document, grade in of.items()]
    write_text("\n".join(lines) + "\n", folder / "qrels" / f"{split}.tsv")


def _plain(path: Path) -> str:
    return path.name.removesuffix(".gz")


def _one_of(folder: Path, entries: list[Path], names: tuple[str, ...]) -> Path:
    for name in names:
        found = [path for path in entries if _plain(path) == name]
        if len(found) > 1:
            raise InputError(
                f"holds both {found[0].name} and {found[1].name}", file=folder, remedy="remove one of them"
            )
        if found:
            return found[0]
    near = close_name(names[-1], (_plain(path) for path in entries))
    have = ", ".join(path.name for path in entries[:12]) or "nothing"
    raise InputError(
        f"holds no {' or '.join(f'{name}[.gz]' for name in names)}",
        file=folder,
        remedy=f"is it {near}?"
        if near
        else f"BEIR's layout is corpus.jsonl, queries.jsonl, qrels/test.tsv (it holds {have})",
    )


def _qrels_file(folder: Path, entries: list[Path], split: str | None) -> tuple[str, Path]:
    inner = folder / "qrels"
    files = [(_plain(path).removesuffix(".tsv"), path) for path in (list_folder(inner) if inner.is_dir() else [])]
    flat = ((re.fullmatch(r"qrels[-_](.+)\.tsv", _plain(path)), path) for path in entries)
    files += [(match[1], path) for match, path in flat if match]
    known = sorted({name for name, path in files if _plain(path).endswith(".tsv")})
    if not known:
        raise InputError(
            "holds no qrels/SPLIT.tsv[.gz]",
            file=folder,
            remedy="write query-id, corpus-id and score into qrels/test.tsv",
        )
    if split is None:
        split = "test" if "test" in known else known[0] if len(known) == 1 else None
        if split is None:
            raise InputError(
                f"has the splits {', '.join(known)}", file=folder, field="split", remedy="name one of them"
            )
    paths = [path for name, path in files if name == split]
    if not paths:
        remedy = f"there is {', '.join(known)}"
        raise InputError(f"no qrels for the split {split!r}", file=folder, field="split", remedy=remedy)
    if len(paths) > 1:
        problem = f"holds both {paths[0].relative_to(folder)} and {paths[1].relative_to(folder)}"
        raise InputError(problem, file=folder, remedy="remove one of them")
    return split, paths[0]


def _texts(path: Path, with_title: bool) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line, row in objects(path):
        key, text = _key(path, line, row), _string(path, line, row, "text")
        if key in texts:
            first = next(number for number, other in objects(path) if str(other["_id"]) == key)
            problem = f"{key!r} stands in line {first} already"
            raise InputError(problem, file=path, line=line, field="_id", remedy="give every entry its own id")
        if with_title:
            title = _string(path, line, row, "title") if row.get("title") is not None else ""
            text = f"{title} {text}" if title else text
        elif not text.strip():
            raise InputError("is empty", file=path, line=line, field="text", remedy="fill it, or leave the query out")
        texts[key] = text
    if not texts:
        raise InputError("holds no rows", file=path, remedy='write one {"_id": "...", "text": "..."} a line')
    return texts


def _key(path: Path, line: int, row: dict[str, Any]) -> str:
    key = row.get("_id")
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        what = "is missing" if "_id" not in row else "is empty" if key == "" else f"{kind_of(key)} where an id is due"
        raise InputError(what, file=path, line=line, field="_id", remedy="give every entry an id")
    return str(key)


def _string(path: Path, line: int, row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        what = "is missing" if field not in row else f"{kind_of(value)} where a text is due"
        raise InputError(what, file=path, line=line, field=field, remedy="write a text in quotes")
    if any("\ud800" <= character <= "\udfff" for character in value) if not value.isascii() else False:
        raise InputError("holds half a character", file=path, line=line, field=field, remedy="write the pair in full")
    return value


def _judgements(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Yield line, query id, document id and grade; a header line may come first."""
    for line, cells in tsv_cells(path):
        if cells == [""]:
            continue
        if len(cells) != 3:
            raise InputError(
                f"{len(cells)} columns where query-id, corpus-id and score are due",
                file=path,
                line=line,
                remedy="separate three columns by tabs",
            )
        query, document, grade = (cell.strip() for cell in cells)
        if line == 1 and query.lower().replace("_", "-") in ("query-id", "qid", "query"):
            continue
        if not re.fullmatch(r"-?[0-9]{1,9}", grade):
            raise InputError(
                f"{grade!r:.40} is not a whole number", file=path, line=line, field="score", remedy="grade 0, 1, 2, ..."
            )
        yield line, query, document, int(grade)


def _check_known(key: str, known: dict[str, str], where: Path, path: Path, line: int, field: str) -> None:
    if key not in known:
        problem = f"{key!r} is not in {where.name}"
        raise InputError(problem, file=path, line=line, field=field, remedy="remove the line, or add the entry")
