"""Annotations of texts as semantic trees: domains, their acts (or intents), the slots of these, and their values.

    {"text": "to Bern", "domain": ["trains"], "acts": ["inform"], "slots": ["destination=Bern"]}
        ->  trains - inform - destination - bern

A tree is the set of its paths. Levels that a dataset does not annotate are unknown, and take part in no view.

Source: He et al. 2022, SPACE-2: Tree-Structured Semi-Supervised Contrastive Pre-training (COLING).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

__all__ = ["LEVELS", "VIEWS", "Path", "Tree", "annotated_texts", "by_view", "element_numbers", "overlaps"]
__all__ += ["renamed", "similarity", "tree_of"]

#: The names on the way from the root: domain, act, slot, value. None: not annotated. Paths may end early.
Path = tuple[str | None, ...]
Tree = frozenset[Path]

LEVELS = ("domain", "act", "slot", "value")
#: Names of the views, and the levels of their elements: nodes, edges, and longer parts of paths.
VIEWS: Mapping[str, tuple[int, ...]] = {
    "D": (0,),
    "I": (1,),
    "S": (2,),
    "V": (3,),
    "DI": (0, 1),
    "IS": (1, 2),
    "SV": (2, 3),
    "DIS": (0, 1, 2),
    "ISV": (1, 2, 3),
    "DISV": (0, 1, 2, 3),
}
_ROWS_AT_ONCE = 1_000


def tree_of(
    domains: Iterable[str] = (),
    acts: Iterable[str] = (),
    slots: Iterable[str] = (),
    frames: Iterable[Sequence[str]] = (),
) -> Tree:
    """The tree of an annotation; names are in lower case, without spaces around them.

    Args:
        domains: With several domains, each of them has all acts.
        acts: Acts or intents. Each of them has all slots, where there are no frames to say which.
        slots: Names of slots, or `name=value`.
        frames: Lists of act, slot and value, of which any may be empty, and the last ones missing; where there are
            any, acts and slots are not used.
    """
    below = [tuple(map(_name, frame)) for frame in frames]
    if not below:
        named = [tuple(map(_name, slot.split("=", 1))) for slot in slots] or [()]
        below = [(act, *slot) for act in (list(map(_name, acts)) or [None]) for slot in named]
    return _tree((domain, *path) for domain in (list(map(_name, domains)) or [None]) for path in below)


def annotated_texts(rows: Dataset) -> tuple[list[str], list[Tree]]:
    """Texts and their trees, which are empty where nothing is annotated.

    Args:
        rows: Dialogues or turns, with or without domains; texts with labels, which are taken as intents, with or
            without domains; or texts alone.
    """
    texts, trees = [], []
    for row in _each(rows):
        for turn in row.get("turns", (row,)):
            texts.append(turn["text"])
            trees.append(_of_turn(turn, row.get("domain")))
    return texts, trees


def _of_turn(turn: Mapping[str, Any], domain: Any) -> Tree:
    domains = [] if domain is None else list(map(str, domain)) if isinstance(domain, list) else [str(domain)]
    acts = [str(turn["label"])] if "label" in turn else turn.get("acts") or []
    slots, frames = turn.get("slots") or [], turn.get("frames") or []
    # The domain of a whole dialogue says nothing of a turn that is not annotated itself.
    return tree_of(domains, acts, slots, frames) if acts or slots or frames else frozenset()


def renamed(tree: Tree, rename: Callable[[str, str], str | None]) -> Tree:
    """The tree with other names: `rename` gets the level and the name; None or an empty name: not annotated."""
    return _tree(
        tuple(name and (rename(level, name) or None) for level, name in zip(LEVELS, path, strict=False))
        for path in tree
    )


def by_view(tree: Tree) -> dict[str, frozenset[Path]]:
    """The elements of a tree in each view; an element with an unknown level is in none."""
    found = {}
    for view, levels in VIEWS.items():
        parts = (tuple(path[level] for level in levels) for path in tree if len(path) > levels[-1])
        found[view] = frozenset(part for part in parts if None not in part)
    return found


def overlaps(a: Tree, b: Tree) -> dict[str, float]:
    """Elements in common as a share of all elements of both, in each view; 0 where both have none."""
    return {view: len(x & y) / len(x | y) if x | y else 0.0 for view, x, y in _both(a, b)}


def similarity(a: Tree, b: Tree) -> float:
    """The mean of `overlaps` over the views in which one of both has elements, from 0 to 1; 0 where none has.

    Equal trees have 1; with an empty tree it is 0, also that of two empty ones.
    """
    found = [len(x & y) / len(x | y) for _, x, y in _both(a, b) if x | y]
    return sum(found) / len(found) if found else 0.0


def element_numbers(trees: Sequence[Tree]) -> Tensor:
    """The elements of each tree in each view as numbers, filled up with -1: the sets of `nearfar.near.by_overlap`.

    Returns:
        int32 of shape (trees, 10, k), where k is the largest number of elements of a tree in one view, at least 1.
    """
    import torch

    numbers: dict[tuple[str, Path], int] = {}
    known: dict[Tree, list[list[int]]] = {}
    for tree in dict.fromkeys(trees):
        known[tree] = [
            [numbers.setdefault((view, part), len(numbers)) for part in sorted(parts)]  # pyright: ignore[reportArgumentType]
            for view, parts in by_view(tree).items()
        ]
    width = max((len(part) for part in chain(*known.values())), default=1) or 1
    rows = {tree: [part + [-1] * (width - len(part)) for part in parts] for tree, parts in known.items()}
    return torch.tensor([rows[tree] for tree in trees], dtype=torch.int32).view(-1, len(VIEWS), width)


def _both(a: Tree, b: Tree) -> Iterator[tuple[str, frozenset[Path], frozenset[Path]]]:
    others = by_view(b)
    for view, elements in by_view(a).items():
        yield view, elements, others[view]


def _each(rows: Dataset) -> Iterator[dict[str, Any]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from rows.select(range(start, min(start + _ROWS_AT_ONCE, len(rows)))).to_list()


def _name(name: str) -> str | None:
    return name.strip().lower() or None


def _tree(paths: Iterable[Path]) -> Tree:
    """Without what says nothing: unknown names at the end of a path, and paths that go on in others."""
    cut = set()
    for path in paths:
        while path and path[-1] is None:
            path = path[:-1]
        cut.add(path)
    return frozenset(cut - {path[:end] for path in cut for end in range(len(path))} - {()})
