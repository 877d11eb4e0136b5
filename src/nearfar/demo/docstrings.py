"""Pairs of (what it does -> API entry), read off the docstrings of a Python's own source files.

The first sentence of a docstring says what a function or class does, in the words of someone who looks for it. The
entry is the rest: qualified name, signature, further text. Source files are parsed, never imported or run.
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

#: Parts of the standard library that are tests, generated tables, or copies of other modules.
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
#: Words that a sentence needs to be worth searching for, and characters beyond which it is no sentence.
LEAST_WORDS, MOST_CHARACTERS = 3, 300


@dataclass(frozen=True)
class Entry:
    """A documented function, method or class.

    Args:
        module: The top-level module, such as `asyncio`; whole modules are held out.
        name: The qualified name, such as `asyncio.events.AbstractEventLoop.call_soon`.
        summary: The docstring's first sentence.
        text: Name with signature, and the docstring's further text.
    """

    module: str
    name: str
    summary: str
    text: str


def harvest(packages: Sequence[str] = ()) -> list[Entry]:
    """The documented public entries of the standard library and of installed packages, in order of their names.

    Raises:
        InputError: a package is not installed.
    """
    found: dict[str, Entry] = {}
    said: set[tuple[str, str]] = set()
    for root, path in _sources(packages):
        for entry in _entries(root, path):
            # Copies (a C module's Python twin) say the same of the same thing; definitions for other platforms bear
            # the same name. The first is kept.
            content = (entry.name.rpartition(".")[2], entry.summary)
            if entry.name not in found and content not in said:
                found[entry.name] = entry
                said.add(content)
    return sorted(found.values(), key=lambda entry: entry.name)


def part_of(module: str, seed: int) -> str:
    """Which part a whole module belongs to: `train` (65 of 100), `validation` (15) or `test` (20)."""
    draw = int.from_bytes(hashlib.sha256(f"{seed} {module}".encode()).digest()[:4], "big") / 2**32
    return "test" if draw < 0.20 else "validation" if draw < 0.35 else "train"


def _sources(packages: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    library = Path(sysconfig.get_path("stdlib"))
    yield from ((library, path) for path in sorted(library.rglob("*.py")))
    for package in packages:
        yield from package_sources(package)


def package_sources(package: str) -> list[tuple[Path, Path]]:
    """The source files of an installed package, each with the folder that its module names count from.

    Raises:
        InputError: It is not installed, or only as a pointer to a folder elsewhere.
    """
    try:
        found = distribution(package)
    except (PackageNotFoundError, ValueError):
        raise InputError(
            f"the package {package!r} is not installed", field="--package", remedy=f"pip install {package}"
        ) from None
    # Scripts lie outside, at `../../bin`.
    sources = [file for file in found.files or () if file.suffix == ".py" and ".." not in file.parts]
    if not sources:
        raise InputError(
            f"the package {package!r} installed no source files", field="--package", remedy="name another package"
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
    """First sentence and the rest; an empty sentence where it says too little or is none."""
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
