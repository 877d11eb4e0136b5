"""The code on the site's pages runs, block after block, in a folder of its own.

A block of Python with a title is a file, and is written as one. Lines of shell that begin with `nearfar` run in this
process (it saves the imports), others in bash.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

from nearfar.cli.app import run

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    "better-rows.md",
    "databases/lancedb.md",
    "databases/qdrant.md",
    "distillation.md",
    "index.md",
    "kernel.md",
    "language-models.md",
    "migrating.md",
    "new-recipe.md",
    "search.md",
    "taxonomy.md",
    "tutorial.md",
]
SLOW = {"tutorial.md": pytest.mark.slow}
#: Page -> the package that it is about.
NEEDS = {"databases/lancedb.md": "lancedb", "databases/qdrant.md": "qdrant_client"}


def files(document: Document) -> Iterator[Region]:
    """Blocks such as ```python title="serve.py"."""
    for region in RawFencedCodeBlockLexer(re.compile(r'python title="(?P<title>[^"]+)"$\n', re.MULTILINE))(document):
        region.parsed, region.evaluator = region.lexemes, written
        yield region


def written(example: Example) -> None:
    Path(example.parsed["title"]).write_text(example.parsed["source"], "utf-8")


def shell(example: Example) -> None:
    waiting: list[str] = []
    for line in example.parsed.replace("\\\n", " ").splitlines():
        if line.startswith("nearfar "):
            bash(waiting, example)
            waiting = []
            arguments = shlex.split(line, comments=True)[1:]
            assert run(arguments) == 0, f"{example.path}:{example.line}: {line}"
        else:
            waiting.append(line)
    bash(waiting, example)


def bash(lines: list[str], example: Example) -> None:
    if not any(lines):
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # What was started in the background ends with the block.
    script = "\n".join(["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *lines])
    done = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": path}, timeout=120, check=False)
    assert done.returncode == 0, f"{example.path}:{example.line}: {script}"


def examples(page: str) -> list[Example]:
    parsers = [files, CodeBlockParser("python", PythonEvaluator()), CodeBlockParser("sh", shell)]
    return list(Sybil(parsers, path=str(DOCS), pattern="*.md").parse(DOCS / page).examples())


@pytest.mark.parametrize("page", [pytest.param(page, marks=SLOW.get(page, ())) for page in PAGES])
def test_code_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for data in (DOCS / "assets").glob("*.csv"):
        shutil.copy(data, tmp_path)
    found = examples(page)
    assert found, f"{page} has no code"
    for example in found:
        example.evaluate()


def test_every_page_with_code_is_run() -> None:
    pages = {path.relative_to(DOCS).as_posix(): path.read_text("utf-8") for path in DOCS.rglob("*.md")}
    assert {name for name, text in pages.items() if "```python" in text or "```sh" in text} == set(PAGES)
