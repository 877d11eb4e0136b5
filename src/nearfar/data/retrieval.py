"""BEIR-format datasets: a corpus, queries, and the relevant documents of each query."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from nearfar.data._delimited import tsv_cells
from nearfar.data._hints import close_name
from nearfar.data._json import kind_of, objects
from nearfar.data.blanks import blank, is_blank
from nearfar.data.files import check_file, list_folder, unpacked_name, write_jsonl
from nearfar.data.limits import max_text, too_long
from nearfar.errors import InputError
from nearfar.writing import write_text

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retrieval:
    """A retrieval dataset.

    Args:
        corpus: Document id -> title (if any), a space, and text. A text may be empty.
        queries: Query id -> text, for queries with a relevant document.
        relevant: Query id -> document id -> grade, 1 or more.
    """

    corpus: dict[str, str]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]


def is_retrieval_folder(source: object) -> TypeGuard[str | Path]:
    """Whether a source is a BEIR-format dataset: a folder that contains `corpus.jsonl`."""
    if not isinstance(source, (str, Path)):
        return False
    folder = Path(source).expanduser()
    return folder.is_dir() and any(folder.glob("corpus.jsonl*"))


def is_beir_corpus(file: str | Path, columns: Mapping[str, str] | None = None) -> bool:
    """Whether a file is a `corpus.jsonl` in BEIR format. Without any `_id` in it, it is a table like any other.

    Args:
        file: The file; a Hub ID is none.
        columns: A mapping of columns, which is only for tables.

    Raises:
        InputError: The file cannot be read, or is in BEIR format and there is a mapping.
    """
    path = Path(file).expanduser()
    if unpacked_name(path) != "corpus.jsonl" or not any("_id" in row for _, row in objects(path)):
        return False
    if columns:
        problem = "the columns of corpus.jsonl are fixed by BEIR format"
        raise InputError(problem, file=file, field="--columns", remedy="remove --columns")
    return True


def load_retrieval(folder: str | Path, split: str | None = None) -> Retrieval:
    """Read a BEIR-format dataset: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`, each also with `.gz` or
    `.zst`.

    The flat layout is also supported: `qrels-SPLIT.tsv` beside the corpus, and `queries-SPLIT.jsonl` if each split has
    its own queries. Qrels have BEIR's three columns or trec_eval's four (query, 0, document, grade). Pairs with a grade
    of 0 or less are irrelevant and dropped, as are queries without a relevant document; lines that name an unknown
    query or document are skipped, with a note of how many.

    Args:
        folder: The folder.
        split: Which qrels to read; by default `test` if it exists, else the only split.

    Raises:
        InputError: A file is missing, an id is duplicate, no line of the qrels has known ids, a query is empty, or no
            pair is relevant.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        check_file(folder)
        raise InputError("is a file, not a folder", file=folder, remedy="name the folder that contains corpus.jsonl")
    entries = list_folder(folder)
    corpus_file = _one_of(folder, entries, ("corpus.jsonl",))
    split, qrels_file = _qrels_file(folder, entries, split)
    queries_file = _one_of(folder, entries, (f"queries-{split}.jsonl", f"queries_{split}.jsonl", "queries.jsonl"))

    corpus = _texts(corpus_file, with_title=True)
    queries = _texts(queries_file, with_title=False)
    relevant: dict[str, dict[str, int]] = {}
    unknown: list[tuple[int, str, Path]] = []
    lines = 0
    for line, query, document, grade in _judgements(qrels_file):
        lines += 1
        absent = (query, queries_file) if query not in queries else (document, corpus_file)
        if query not in queries or document not in corpus:
            unknown.append((line, *absent))
            continue
        if grade > 0 and relevant.setdefault(query, {}).setdefault(document, grade) != grade:
            raise InputError(
                f"query {query!r} and document {document!r} already have the grade {relevant[query][document]}",
                file=qrels_file,
                line=line,
                field="score",
                remedy="keep one of the lines",
            )
    if unknown:
        line, key, place = unknown[0]
        what = f"{key!r} is not in {place.name}"
        if len(unknown) == lines:
            remedy = "check that the qrels belong to these queries and documents"
            raise InputError(f"no line names a known query and document: {what}", file=qrels_file, remedy=remedy)
        logger.warning("%s: %d of %d lines are skipped; line %d: %s", qrels_file, len(unknown), lines, line, what)
    if not relevant:
        raise InputError("no pair is relevant", file=qrels_file, remedy="grade at least one pair 1 or more")
    return Retrieval(corpus, {query: text for query, text in queries.items() if query in relevant}, relevant)


def pairs_of(folder: str | Path, split: str = "train") -> Dataset:
    """The queries of a BEIR-format dataset with their relevant documents, as pairs to train on.

    Args:
        folder: The folder.
        split: Which qrels to read; if the folder has a single split, that one.

    Returns:
        Columns `anchor` (a query) and `positive` (a relevant document), one row for each pair in the qrels.

    Raises:
        InputError: As for `load_retrieval`, or a relevant document is empty.
    """
    from datasets import Dataset

    folder = Path(folder).expanduser()
    known = _splits(folder, list_folder(folder))
    if split not in known and len(known) == 1:
        logging.getLogger(__name__).warning("%s: the pairs are those of the split %r, the only one", folder, known[0])
        split = known[0]
    found = load_retrieval(folder, split)
    rows = [(query, document) for query, of in found.relevant.items() for document in of]
    for query, document in rows:
        if not found.corpus[document].strip():
            problem = f"document {document!r}, which is relevant for query {query!r}, is empty"
            raise InputError(problem, file=folder, remedy="fill it, or remove it from the qrels")
    columns = {
        "anchor": [found.queries[query] for query, _ in rows],
        "positive": [found.corpus[document] for _, document in rows],
    }
    return Dataset.from_dict(columns)


def load_corpus(file: str | Path) -> dict[str, str]:
    """Read a `corpus.jsonl` in BEIR format: document id -> title and text.

    Raises:
        InputError: The file cannot be read, or an id is duplicate.
    """
    return dict(corpus_entries(file))


def corpus_entries(file: str | Path) -> Iterator[tuple[str, str]]:
    """Yield the ids and texts that `load_corpus` returns, without keeping the texts in memory.

    Raises:
        InputError: As for `load_corpus`.
    """
    return _entries(Path(file).expanduser(), with_title=True)


def query_entries(file: str | Path) -> Iterator[tuple[str, str]]:
    """Yield the ids and texts of a `queries.jsonl` in BEIR format.

    Raises:
        InputError: As for `load_retrieval`.
    """
    return _entries(Path(file).expanduser(), with_title=False)


def write_retrieval(found: Retrieval, folder: str | Path, split: str = "test") -> None:
    """Write a BEIR-format dataset that `load_retrieval` can read. Each file appears only when complete."""
    folder = Path(folder)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, texts in (("corpus.jsonl", found.corpus), ("queries.jsonl", found.queries)):
        write_jsonl(({"_id": id_, "text": text} for id_, text in texts.items()), folder / name)
    lines = ["query-id\tcorpus-id\tscore"]
    lines += [f"{query}\t{document}\t{grade}" for query, of in found.relevant.items() for document, grade in of.items()]
    write_text("\n".join(lines) + "\n", folder / "qrels" / f"{split}.tsv")


def _plain(path: Path) -> str:
    return unpacked_name(path)


def _one_of(folder: Path, entries: list[Path], names: tuple[str, ...]) -> Path:
    for name in names:
        found = [path for path in entries if _plain(path) == name]
        if len(found) > 1:
            raise InputError(
                f"contains both {found[0].name} and {found[1].name}", file=folder, remedy="remove one of them"
            )
        if found:
            return found[0]
    near = close_name(names[-1], (_plain(path) for path in entries))
    have = ", ".join(path.name for path in entries[:12]) or "nothing"
    raise InputError(
        f"contains no {' or '.join(f'{name}[.gz]' for name in names)}",
        file=folder,
        remedy=f"did you mean {near}?"
        if near
        else f"BEIR format is corpus.jsonl, queries.jsonl, qrels/test.tsv (the folder contains {have})",
    )


def _qrels(folder: Path, entries: list[Path]) -> list[tuple[str, Path]]:
    """Split and path of the files that may be qrels."""
    inner = folder / "qrels"
    files = [(_plain(path).removesuffix(".tsv"), path) for path in (list_folder(inner) if inner.is_dir() else [])]
    flat = ((re.fullmatch(r"qrels[-_](.+)\.tsv", _plain(path)), path) for path in entries)
    return files + [(match[1], path) for match, path in flat if match]


def _splits(folder: Path, entries: list[Path]) -> list[str]:
    return sorted({name for name, path in _qrels(folder, entries) if _plain(path).endswith(".tsv")})


def _qrels_file(folder: Path, entries: list[Path], split: str | None) -> tuple[str, Path]:
    files = _qrels(folder, entries)
    known = _splits(folder, entries)
    if not known:
        raise InputError(
            "contains no qrels/SPLIT.tsv[.gz]",
            file=folder,
            remedy="write query-id, corpus-id and score into qrels/test.tsv",
        )
    if split is None:
        split = "test" if "test" in known else known[0] if len(known) == 1 else None
        if split is None:
            raise InputError(
                f"contains several splits: {', '.join(known)}", file=folder, field="split", remedy="name one of them"
            )
    paths = [path for name, path in files if name == split]
    if not paths:
        remedy = f"the splits are {', '.join(known)}"
        raise InputError(f"no qrels for the split {split!r}", file=folder, field="split", remedy=remedy)
    if len(paths) > 1:
        problem = f"contains both {paths[0].relative_to(folder)} and {paths[1].relative_to(folder)}"
        raise InputError(problem, file=folder, remedy="remove one of them")
    return split, paths[0]


def _texts(path: Path, with_title: bool) -> dict[str, str]:
    return dict(_entries(path, with_title))


def _entries(path: Path, with_title: bool) -> Iterator[tuple[str, str]]:
    known: set[str] = set()
    for line, row in objects(path):
        key, text = _key(path, line, row), _string(path, line, row, "text")
        if key in known:
            first = next(number for number, other in objects(path) if str(other["_id"]) == key)
            problem = f"duplicate id {key!r}, already in line {first}"
            raise InputError(problem, file=path, line=line, field="_id", remedy="give every entry its own id")
        if with_title:
            title = _string(path, line, row, "title") if row.get("title") is not None else ""
            text = f"{title} {text}" if title else text
        elif is_blank(text):
            raise InputError(blank(text)[0], file=path, line=line, field="text", remedy="fill it, or remove the query")
        known.add(key)
        yield key, text
    if not known:
        raise InputError("is empty", file=path, remedy='write one {"_id": "...", "text": "..."} per line')


def _key(path: Path, line: int, row: dict[str, Any]) -> str:
    key = row.get("_id")
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        what = (
            "is missing"
            if "_id" not in row
            else "is empty"
            if key == ""
            else f"expected a string or an integer, got {kind_of(key)}"
        )
        raise InputError(what, file=path, line=line, field="_id", remedy="give every entry an id")
    return str(key)


def _string(path: Path, line: int, row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        what = "is missing" if field not in row else f"expected a string, got {kind_of(value)}"
        raise InputError(what, file=path, line=line, field=field, remedy="write it in quotes")
    if len(value) > max_text():
        problem, remedy = too_long(len(value.encode("utf-8", "surrogatepass")))
        raise InputError(problem, file=path, line=line, field=field, remedy=remedy)
    if any("\ud800" <= character <= "\udfff" for character in value) if not value.isascii() else False:
        raise InputError(
            "contains an unpaired surrogate", file=path, line=line, field=field, remedy="write the pair in full"
        )
    return value


def _judgements(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Yield line, query id, document id and grade of BEIR's 3 columns or trec_eval's 4; a header may be first."""
    for line, cells in tsv_cells(path):
        if cells == [""]:
            continue
        if len(cells) == 1:
            cells = cells[0].split()  # trec_eval's files often have spaces
        if len(cells) not in (3, 4):
            raise InputError(
                f"expected 3 columns (query-id, corpus-id, score), or 4 as trec_eval has them, got {len(cells)}",
                file=path,
                line=line,
                remedy="separate the columns with tabs",
            )
        query, *_, document, grade = (cell.strip() for cell in cells)
        if line == 1 and query.lower().replace("_", "-") in ("query-id", "qid", "query"):
            continue
        if not re.fullmatch(r"[-+]?[0-9]{1,9}(\.0*)?", grade):
            raise InputError(
                f"expected an integer, got {grade!r:.40}",
                file=path,
                line=line,
                field="score",
                remedy="use grades 0, 1, 2, ...",
            )
        yield line, query, document, int(grade.partition(".")[0])
