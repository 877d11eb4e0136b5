"""Pairs of (description -> API entry) from the docstrings of Python's own source files.

The first sentence of a docstring describes a function or class in words that a search for it might use. The entry is
the rest: qualified name, signature, further text. Source files are parsed, never imported or executed.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from nearfar.errors import InputError

SKIPPED = {
    "test",
    "tests",
    "idlelib",
    "idle_test",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "pydoc_data",
    "turtledemo",
    "ensurepip",
}
"""Parts of the standard library that are tests, generated tables, or copies of other modules."""
LEAST_WORDS, MOST_CHARACTERS = 3, 300
"""Minimum number of words and maximum number of characters of a summary."""


@dataclass(frozen=True)
class Entry:
    """A documented function, method or class.

    Args:
        module: The top-level module, such as `asyncio`; modules are held out as a whole.
        name: The qualified name, such as `asyncio.events.AbstractEventLoop.call_soon`.
        summary: The first sentence of the docstring.
        text: Name with signature, and the rest of the docstring.
    """

    module: str
    name: str
    summary: str
    text: str


def harvest(packages: Sequence[str] = ()) -> list[Entry]:
    """The documented public entries of the standard library and of installed packages, sorted by name.

    Raises:
        InputError: a package is not installed.
    """
    found: dict[str, Entry] = {}
    seen: set[tuple[str, str]] = set()
    for root, path in _sources(packages):
        for entry in _entries(root, path):
            # Copies (the Python version of a C module) have the same text, and definitions for other platforms have the
            # same name: the first one is kept.
            content = (entry.name.rpartition(".")[2], entry.summary)
            if entry.name not in found and content not in seen:
                found[entry.name] = entry
                seen.add(content)
    return sorted(found.values(), key=lambda entry: entry.name)


def part_of(module: str, seed: int) -> str:
    """The part that a module belongs to: `train` (65%), `validation` (15%) or `test` (20%)."""
    draw = int.from_bytes(hashlib.sha256(f"{seed} {module}".encode()).digest()[:4], "big") / 2**32
    return "test" if draw < 0.20 else "validation" if draw < 0.35 else "train"


def _sources(packages: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    library = Path(sysconfig.get_path("stdlib"))
    yield from ((library, path) for path in sorted(library.rglob("*.py")))
    for package in packages:
        yield from package_sources(package)


def package_sources(package: str) -> list[tuple[Path, Path]]:
    """The source files of an installed package, each with the folder that its module name is relative to.

    Raises:
        InputError: The package is not installed, or without source files, such as a link to another folder.
    """
    try:
        found = distribution(package)
    except (PackageNotFoundError, ValueError):
        raise InputError(
            f"the package {package!r} is not installed", field="--package", remedy=f"pip install {package}"
        ) from None
    # Scripts are outside of the folder, in `../../bin`.
    sources = [file for file in found.files or () if file.suffix == ".py" and ".." not in file.parts]
    if not sources:
        raise InputError(
            f"the package {package!r} contains no source files", field="--package", remedy="choose another package"
        )
    root = Path(str(found.locate_file("")))
    return sorted((root, Path(str(found.locate_file(file)))) for file in sources)


def _entries(root: Path, path: Path) -> Iterator[Entry]:
    parts = list(path.relative_to(root).with_suffix("").parts)
    if SKIPPED & set(parts) or any(part.startswith("_") and part != "__init__" for part in parts):
        return
    if parts[-1] == "__init__":
        parts.pop()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # templates and files for other versions of Python
    for name, node in _public(tree, ".".join(parts)):
        summary, rest = _split(ast.get_docstring(node) or "")
        if summary:
            text = f"{name}{_signature(node)}\n{rest}".strip()
            yield Entry(parts[0], name, summary, text)


def _public(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            name = f"{prefix}.{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node, name)


def _split(docstring: str) -> tuple[str, str]:
    """The first sentence and the rest; both empty if the sentence is too short or too long."""
    first, _, rest = docstring.strip().partition("\n\n")
    sentence = re.match(r"(.+?(?<!e\.g)(?<!i\.e)[.!?])(?:\s|$)(.*)", " ".join(first.split()), re.DOTALL)
    summary, more = sentence.groups() if sentence else (" ".join(first.split()), "")
    if len(re.findall(r"[A-Za-z]{2,}", summary)) < LEAST_WORDS or len(summary) > MOST_CHARACTERS:
        return "", ""
    return summary, " ".join(f"{more} {rest}".split())


def _signature(node: ast.AST) -> str:
    if isinstance(node, ast.ClassDef):
        return ""
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    known = node.args
    names = [arg.arg for arg in (*known.posonlyargs, *known.args) if arg.arg not in ("self", "cls")]
    names += [f"*{known.vararg.arg}"] if known.vararg else []
    names += [arg.arg for arg in known.kwonlyargs]
    names += [f"**{known.kwarg.arg}"] if known.kwarg else []
    return f"({', '.join(names)})"
