from __future__ import annotations

import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from nearfar.demo.docstrings import Entry, _split, harvest, package_sources, part_of
from nearfar.errors import InputError


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the standard library."""
    folder = tmp_path / "stdlib"
    folder.mkdir()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder))
    return folder


def function(name: str, summary: str = "Do what the name of it says.") -> str:
    return f'def {name}(first, *, second=1):\n    """{summary}"""\n'


@pytest.mark.parametrize(
    ("docstring", "summary", "rest"),
    [
        ("Remove a tree of files.", "Remove a tree of files.", ""),
        ("Remove a tree\n    of files", "Remove a tree of files", ""),
        ("Remove a tree of files. Links stay.", "Remove a tree of files.", "Links stay."),
        ("Remove a tree of files.\n\nLinks\nstay.\n\nAll.", "Remove a tree of files.", "Links stay. All."),
        ("Is this file a link? Say so.", "Is this file a link?", "Say so."),
        ("Read version 3.11 of a file. Or not.", "Read version 3.11 of a file.", "Or not."),
        ("Read files, e.g. of logs, i.e. all. Or not.", "Read files, e.g. of logs, i.e. all.", "Or not."),
        ("Read a file", "", ""),
        ("", "", ""),
        ("Read it.", "", ""),
        ("x = 1; y = 2; z = 3", "", ""),
        ("Read " + "very " * 60 + "long files.", "", ""),
    ],
)
def test_first_sentence_and_the_rest(docstring: str, summary: str, rest: str):
    assert _split(docstring) == (summary, rest)


def test_entries_are_named_signed_and_sorted(library: Path):
    (library / "zoo").mkdir()
    (library / "zoo" / "__init__.py").write_text(function("open", "Open the doors of the zoo. At nine."))
    (library / "zoo" / "cages.py").write_text(
        'class Cage:\n    """A cage for one animal."""\n\n    async def feed(self, food, /, *more, at=None, **rest):\n'
        '        """Feed the animal here.\n\n        With food."""\n'
    )
    assert harvest() == [
        Entry("zoo", "zoo.cages.Cage", "A cage for one animal.", "zoo.cages.Cage"),
        Entry(
            "zoo",
            "zoo.cages.Cage.feed",
            "Feed the animal here.",
            "zoo.cages.Cage.feed(food, *more, at, **rest)\nWith food.",
        ),
        Entry("zoo", "zoo.open", "Open the doors of the zoo.", "zoo.open(first, second)\nAt nine."),
    ]


def test_private_names_and_tests_are_skipped(library: Path):
    inner = 'class _Hidden:\n    """Hidden from all users."""\n    def shown(self):\n        """Not shown to any."""\n'
    (library / "seen.py").write_text(function("seen") + function("_unseen") + inner + "def bare(): pass\n")
    (library / "_private.py").write_text(function("a"))
    for folder in ("test", "site-packages", "_inner", "package/tests"):
        (library / folder).mkdir(parents=True)
        (library / folder / "module.py").write_text(function("b"))
    (library / "package" / "__main__.py").write_text(function("c"))
    assert [entry.name for entry in harvest()] == ["seen.seen"]


def test_what_is_said_twice_is_taken_once(library: Path):
    (library / "first.py").write_text(function("read", "Read all of it.") + function("read", "Read none of it."))
    (library / "second.py").write_text(function("read", "Read all of it.") + function("write", "Read all of it."))
    assert [entry.name for entry in harvest()] == ["first.read", "second.write"]


def test_source_files_are_never_imported(library: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(library)
    trace = library / "ran"
    (library / "fails.py").write_text(f"open({str(trace)!r}, 'w').close()\nraise RuntimeError\n" + function("seen"))
    assert [entry.name for entry in harvest()] == ["fails.seen"]
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [b"def broken(:\n", b"print 'Python 2'\n", b"x = '\0'\n", "# café\n".encode("latin-1"), b"# coding: no-such\n"],
)
def test_files_that_do_not_parse_are_skipped(content: bytes, library: Path):
    (library / "bad.py").write_bytes(content)
    (library / "good.py").write_text('"\\d"\n' + function("seen"))
    assert [entry.name for entry in harvest()] == ["good.seen"]


def test_the_part_of_a_module_is_fixed(library: Path):
    modules = [f"module{number}" for number in range(4_000)]
    parts = {module: part_of(module, 0) for module in modules}
    assert parts == {module: part_of(module, 0) for module in reversed(modules)}
    shares = {part: count / len(modules) for part, count in Counter(parts.values()).items()}
    assert shares == {
        "train": pytest.approx(0.65, abs=0.03),
        "validation": pytest.approx(0.15, abs=0.03),
        "test": pytest.approx(0.20, abs=0.03),
    }
    assert any(part_of(module, 1) != part for module, part in parts.items())
    (library / "package").mkdir()
    for name in ("a", "b"):
        (library / "package" / f"{name}.py").write_text(function(name, f"Do what {name} always does."))
    assert [entry.module for entry in harvest()] == ["package", "package"]


def installed(site: Path, name: str, files: dict[str, str]) -> None:
    """What pip leaves behind of a package."""
    information = site / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file, content in files.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(content)


def test_packages_with_scripts_and_single_modules(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    site = tmp_path / "lib" / "site-packages"
    sources = {"single.py": function("alone", "Be alone in it."), "pack/__init__.py": function("first")}
    installed(site, "some-pack", {"../bin/script.py": function("run"), **sources})
    monkeypatch.syspath_prepend(site)
    assert package_sources("some-pack") == [(site, site / "pack" / "__init__.py"), (site, site / "single.py")]
    assert [entry.name for entry in harvest(["some-pack"])] == ["pack.first", "single.alone"]


def test_packages_that_cannot_be_read(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    installed(tmp_path / "site", "pointer", {"pointer.pth": "/elsewhere\n"})
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(InputError, match=r"^--package: .*'pointer'"):
        harvest(["pointer"])
    with pytest.raises(InputError, match=r"^--package: .*'no-such'.*pip install no-such$"):
        harvest(["no-such"])


def test_the_library_of_this_python():
    entries = harvest()
    assert len(entries) > 1_000
    found = {entry.name: entry for entry in entries}
    assert found["shutil.rmtree"].summary == "Recursively delete a directory tree."
    assert found["textwrap.dedent"].text.startswith("textwrap.dedent(text)\n")
    assert len(found) == len(entries)
