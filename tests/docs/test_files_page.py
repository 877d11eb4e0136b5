"""The page of files: every schema has a file that is read as it looks."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import pytest

from nearfar.data import SCHEMAS, load, load_retrieval
from nearfar.data.documents import load_documents
from nearfar.data.schemas import ONLY_BY_NAME

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r'```text title="(.+?)"\n(.*?)```', re.DOTALL)


def test_every_schema_has_its_section_and_no_other() -> None:
    assert set(SECTIONS) - {"Tasks"} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_files_of_a_schema_are_read(name: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall(SECTIONS[name])
    assert blocks
    for title, content in blocks:
        (tmp_path / title).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / title).write_text(content, "utf-8")
        _make_media(tmp_path, content)
    if name == "retrieval":
        folder = tmp_path / "retrieval"
        assert list(load_retrieval(folder).relevant) == ["q1"]
        assert load(folder).column_names == ["anchor", "positive"]
        return
    for title, content in blocks:
        named = name if name in ONLY_BY_NAME else None
        rows = load_documents(tmp_path / title) if name == "documents" else load(tmp_path / title, schema=named)
        assert SCHEMAS[name].fits(rows.column_names)
        assert len(rows) == len(content.strip().splitlines()) - title.endswith(("csv", "tsv"))
        # The columns alone tell the schema, except where a schema has the columns of another.
        same = {"documents": "sentences"}
        assert load(tmp_path / title, schema=same.get(name, name)).column_names == rows.column_names


def _make_media(folder: Path, content: str) -> None:
    for path in re.findall(r"\w+/\w+\.(?:png|wav)", content):
        (folder / path).parent.mkdir(exist_ok=True)
        if path.endswith(".png"):
            from PIL import Image

            Image.new("RGB", (4, 4)).save(folder / path)
        else:
            with wave.open(str(folder / path), "wb") as file:
                file.setparams((1, 2, 8000, 80, "NONE", "not compressed"))
                file.writeframes(b"\0\0" * 80)
