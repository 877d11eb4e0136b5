"""A common vocabulary for the annotations of several datasets, in a file that the user can edit.

    dataset,level,name,common
    sgd,act,thank_you,thank_you
    multidogo,act,thankyou,thank_you

An empty `common` removes the name: it counts as not annotated. Names that are not listed stay as they are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data._hints import close_name
from nearfar.data.actions import act_names, singular
from nearfar.data.files import open_text
from nearfar.data.trees import LEVELS, Tree, renamed
from nearfar.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LabelMap"]

COLUMNS = ("dataset", "level", "name", "common")
#: Levels with a vocabulary; values are free texts.
NAMED = LEVELS[:-1]
#: Names of two datasets are the same from this similarity on, see `similarity`.
ALIKE = 0.85

Key = tuple[str, str, str]


@dataclass(frozen=True)
class LabelMap:
    """The common name of names of datasets.

    Args:
        names: (dataset, level, name) -> common name; levels are `domain`, `act` and `slot`, names are in lower case.
    """

    names: Mapping[Key, str]

    @classmethod
    def proposed(cls, trees: Mapping[str, Iterable[Tree]]) -> LabelMap:
        """By the similarity of names: each name of a dataset gets the most similar one of the datasets before it.

        Names of one dataset are never joined with each other, and a name without a similar one stays as it is.

        Args:
            trees: By dataset.
        """
        found: dict[Key, str] = {}
        known: dict[str, list[str]] = {level: [] for level in NAMED}
        for dataset, own in trees.items():
            for level, names in _vocabulary(own).items():
                common = {name: _most_similar(name, known[level], level) or name for name in names}
                # Of several names that are similar to the same one, the most similar gets it.
                best: dict[str, str] = {}
                for name in sorted(names, key=lambda name: -similarity(name, common[name], level)):
                    best.setdefault(common[name], name)
                for name in names:
                    found[dataset, level, name] = common[name] if best[common[name]] == name else name
                known[level] += dict.fromkeys(
                    found[dataset, level, name] for name in names if found[dataset, level, name] not in known[level]
                )
        return cls(found)

    @classmethod
    def read(cls, file: str | Path, trees: Mapping[str, Iterable[Tree]]) -> LabelMap:
        """From a CSV file.

        Args:
            file: With the columns `dataset`, `level`, `name` and `common`.
            trees: By dataset; the file may only contain their names.

        Raises:
            InputError: The file cannot be read, a column is missing, or a dataset, level or name does not exist or is
                listed twice.
        """
        vocabularies = {dataset: _vocabulary(own) for dataset, own in trees.items()}
        found: dict[Key, str] = {}
        with open_text(file) as lines:
            table = csv.DictReader(lines)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                remedy = f"write {','.join(COLUMNS)} into the first line"
                raise InputError(f"missing column {missing[0]!r}", file=file, line=1, remedy=remedy)
            for row in table:
                place = {"file": file, "line": table.line_num}
                dataset, level, name, common = ((row[column] or "").strip() for column in COLUMNS)
                name, common = name.lower(), common.lower()
                known = vocabularies.get(dataset, {})
                for field, value, choices in (
                    ("dataset", dataset, list(vocabularies)),
                    ("level", level, list(NAMED)),
                    ("name", name, known.get(level, [])),
                ):
                    if value not in choices:
                        near = close_name(value, choices)
                        remedy = f"did you mean {near!r}?" if near else f"must be one of {', '.join(choices[:10])}"
                        raise InputError(f"unknown {field} {value!r}", field=field, remedy=remedy, **place)
                if (dataset, level, name) in found:
                    problem = f"the {level} {name!r} of {dataset} is listed twice"
                    raise InputError(problem, field="name", remedy="list it once", **place)
                found[dataset, level, name] = common
        return cls(found)

    def write(self, file: str | Path) -> None:
        """As a CSV file that `read` reads."""
        with open(file, "w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows((*key, common) for key, common in self.names.items())

    def applied(self, dataset: str, trees: Iterable[Tree]) -> list[Tree]:
        """The trees of a dataset with the common names."""

        def common(level: str, name: str) -> str:
            return self.names.get((dataset, level, name), name)

        return list(map(partial(renamed, rename=common), trees))

    @property
    def joined(self) -> int:
        """How many names get another one."""
        return sum(name != common for (_, _, name), common in self.names.items())


def similarity(a: str, b: str, level: str) -> float:
    """Of two names, from 0 to 1: 1 for the same words or acts that are synonyms, else by the letters in common.

    Case, plurals, and how words are separated make no difference. The acts that are synonyms are those of
    `nearfar.data.actions`.
    """
    if _letters(a) == _letters(b) or (level == "act" and act_names([a]) == act_names([b]) != []):
        return 1.0
    return SequenceMatcher(None, _letters(a), _letters(b), autojunk=False).ratio()


def _most_similar(name: str, known: Sequence[str], level: str) -> str | None:
    if name in known:
        return name
    best = max(known, key=lambda other: similarity(name, other, level), default=None)
    return best if best is not None and similarity(name, best, level) >= ALIKE else None


def _letters(name: str) -> str:
    return "".join(singular(word) for word in re.findall(r"[^\W_]+", name.lower()))


def _vocabulary(trees: Iterable[Tree]) -> dict[str, list[str]]:
    """The names of each level, in order of the alphabet."""
    found: dict[str, set[str]] = {level: set() for level in NAMED}
    for path in _paths(trees):
        for level, name in zip(NAMED, path, strict=False):
            if name is not None:
                found[level].add(name)
    return {level: sorted(names) for level, names in found.items()}


def _paths(trees: Iterable[Tree]) -> Iterator[tuple[str | None, ...]]:
    for tree in set(trees):
        yield from tree
