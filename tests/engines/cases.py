"""Every way to fill in the kernel's blanks, each as the library's builder and as numbers written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from math import exp, inf, log
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nearfar import contrast, far, near
from nearfar.engines import Engine

Rows = list[list[float]]
SMOOTHING = 0.3


def cosine(u: list[float], v: list[float]) -> float:
    return dot(u, v) / (dot(u, u) * dot(v, v)) ** 0.5


def dot(u: list[float], v: list[float]) -> float:
    return sum(x * y for x, y in zip(u, v, strict=True))


@dataclass
class World:
    """A batch with everything that any builder could ask for. One label of the anchors has no partner."""

    n: int
    m: int
    d: int
    seed: int = 0

    def __post_init__(self) -> None:
        g = torch.Generator().manual_seed(self.seed)
        n, m, d = self.n, self.m, self.d

        def randn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64)

        def rand(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=g, dtype=torch.float64)

        self.anchors, self.candidates, self.positives = randn(n, d), randn(m, d), randn(m, d)
        self.labels_a = torch.randint(0, 4, (n,), generator=g)
        self.labels_b = torch.randint(0, 4, (m,), generator=g)
        self.labels_a[0] = 99
        self.guide_a, self.guide_b = randn(n, 3), randn(m, 3)
        self.p = rand(n, m) * 3 * (rand(n, m) > 0.6)
        self.p[-1] = 0
        self.mask = rand(n, m) > 0.7
        self.mask[:, m // 2] = self.mask[n // 2] = False  # something is left in every denominator
        self.w = rand(n, m) * 2 + 0.05
        self.w[0, 0] = 0
        self.w_column = rand(m) * 2 + 0.05
        self.second_a, self.second_b = randn(n, 2), randn(m, 2)  # gradients reach them through F
        # Sets in two views, of numbers below 5 and without those below 0; each item of the anchors is in two rows.
        self.sets_a, self.sets_b = (torch.randint(-4, 5, (rows, 2, 3), generator=g) for rows in (n, m))
        self.sets_a[0] = -1
        self.items_a, self.items_b = torch.arange(n) // 2, torch.arange(m) % 5

    def near(self, name: str) -> near.Near:
        return {
            "paired": lambda: near.paired(),
            "same_label": lambda: near.same_label(self.labels_a, self.labels_b),
            "same_label_self": lambda: near.same_label(self.labels_a),
            "half": lambda: near.by_similarity(self.guide_a, self.guide_b),
            "relu": lambda: near.by_similarity(self.guide_a, self.guide_b, "relu"),
            "softmax": lambda: near.by_softmax(self.guide_a, self.guide_b, 0.2),
            "power": lambda: near.by_similarity(self.guide_a, self.guide_b, lambda c: c.clamp(min=0) ** 4),
            "overlap": lambda: near.by_overlap(self.sets_a, self.sets_b, self.items_a, self.items_b),
            "overlap_self": lambda: near.by_overlap(self.sets_a, items_a=self.items_a),
            "weights": lambda: near.weights(self.p),
            "smoothed paired": lambda: near.smoothed(near.paired(), SMOOTHING),
            "smoothed same_label": lambda: near.smoothed(self.near("same_label"), SMOOTHING),
        }[name]()

    def far(self, name: str) -> far.Far | None:
        return {
            "none": lambda: None,
            "self": lambda: far.except_self(),
            "masked": lambda: far.masked(self.mask),
            "label": lambda: far.except_same_label(self.items_a, self.items_b),
            "weighted": lambda: far.weighted(self.w),
            "columns": lambda: far.weighted(self.w_column),
            "distance": lambda: far.by_distance(self.second_a, self.second_b, 0.8),
            "threshold": lambda: far.except_likely_positives(self.guide_a, self.guide_b, 0.4, 0.1),
            "positive": lambda: far.except_likely_positives(self.guide_a, self.guide_b, margin=-0.05),
            "unjudged": lambda: far.except_likely_positives(
                self.guide_a, self.guide_b[: len(self.guide_a)], 0.2, unjudged=len(self.guide_b) - len(self.guide_a)
            ),
            "harder": lambda: far.harder(0.8),
            "hardest": lambda: far.hardest(0.4),
            "self+weighted+harder+hardest": lambda: self.far("self") + far.hardest(0.5) + self.far("weighted+harder"),  # type: ignore[operator]
            "weighted+harder": lambda: self.far("weighted") + far.harder(0.8),  # type: ignore[operator]
            "weighted+harder+positive": lambda: self.far("weighted") + far.harder(0.8) + self.far("positive"),  # type: ignore[operator]
            "threshold+harder": lambda: self.far("threshold") + far.harder(0.8),  # type: ignore[operator]
            "self+masked+harder": lambda: far.except_self() + self.far("masked") + far.harder(0.8),
            "distance+masked+harder": lambda: self.far("distance") + self.far("masked") + far.harder(0.8),  # type: ignore[operator]
            "columns+distance+hardest": lambda: self.far("columns") + far.hardest(0.5) + self.far("distance"),  # type: ignore[operator]
        }[name]()

    def p_by_hand(self, name: str) -> Rows:
        """P straight from the documentation, entry by entry."""
        n, m = self.n, self.m
        if name.startswith("smoothed "):
            hard = self.p_by_hand(name.removeprefix("smoothed "))
            return [[(1 - SMOOTHING) * x + SMOOTHING * sum(row) / m for x in row] for row in hard]
        a, b = self.labels_a.tolist(), self.labels_b.tolist()
        ga, gb = self.guide_a.tolist(), self.guide_b.tolist()
        entry: dict[str, Callable[[int, int], float]] = {
            "paired": lambda i, j: float(i == j),
            "same_label": lambda i, j: float(a[i] == b[j]),
            "same_label_self": lambda i, j: float(a[i] == a[j] and i != j),
            "half": lambda i, j: (1 + cosine(ga[i], gb[j])) / 2,
            "relu": lambda i, j: max(cosine(ga[i], gb[j]), 0),
            "softmax": lambda i, j: exp(cosine(ga[i], gb[j]) / 0.2),
            "power": lambda i, j: max(cosine(ga[i], gb[j]), 0) ** 4,
            "overlap": lambda i, j: self.overlap(i, j, self.sets_b, self.items_b),
            "overlap_self": lambda i, j: 0.0 if i == j else self.overlap(i, j, self.sets_a, self.items_a),
            "weights": lambda i, j: float(self.p[i, j]),
        }
        rows = [[entry[name](i, j) for j in range(m)] for i in range(n)]
        if name in ("paired", "weights"):
            return rows
        return [[x / sum(row) if sum(row) else 0 for x in row] for row in rows]

    def overlap(self, i: int, j: int, sets: Tensor, items: Tensor) -> float:
        """The mean overlap over the views in which one of both has elements; 1 for the same item."""
        if self.items_a[i] == items[j]:
            return 1.0
        found = []
        for mine, other in zip(self.sets_a[i].tolist(), sets[j].tolist(), strict=True):
            a, b = ({x for x in numbers if x >= 0} for numbers in (mine, other))
            if a | b:
                found.append(len(a & b) / len(a | b))
        return sum(found) / len(found) if found else 0.0

    def f_by_hand(self, name: str, p: Rows, s: Rows) -> Rows:
        """F straight from the documentation, entry by entry; `p` is P before smoothing, `s` are the similarities."""
        ga, gb = self.guide_a.tolist(), self.guide_b.tolist()
        a2, b2 = self.second_a.tolist(), self.second_b.tolist()

        def mean_of_positives(i: int) -> float:
            total = sum(p[i])
            return sum(p[i][j] * cosine(ga[i], gb[j]) for j in range(self.m)) / total if total else inf

        def entry(term: str, i: int, j: int) -> float:
            if term == "none":
                return 0
            if term == "self":
                return -inf if i == j else 0
            if term == "masked":
                return -inf if self.mask[i, j] else 0
            if term == "label":
                return -inf if self.items_a[i] == self.items_b[j] and not p[i][j] else 0
            if term == "weighted":
                return log(self.w[i, j]) if self.w[i, j] else -inf
            if term == "columns":
                return log(self.w_column[j])
            if term == "distance":
                return -sum((x - y) ** 2 for x, y in zip(a2[i], b2[j], strict=True)) / (2 * 0.8)
            if term == "threshold":
                return -inf if cosine(ga[i], gb[j]) > 0.4 - 0.1 and not p[i][j] else 0
            if term == "unjudged":
                return -inf if j < self.n and cosine(ga[i], gb[j]) > 0.2 and not p[i][j] else 0
            if term == "positive":
                return -inf if cosine(ga[i], gb[j]) > mean_of_positives(i) + 0.05 and not p[i][j] else 0
            assert term == "harder"
            return 0 if p[i][j] else 0.8 * s[i][j]

        terms = [term for term in name.split("+") if term != "hardest"]
        f = [[sum(entry(term, i, j) for term in terms) for j in range(self.m)] for i in range(self.n)]
        if "hardest" in name:
            for i in range(self.n):
                negatives = [j for j in range(self.m) if not p[i][j] and f[i][j] > -inf]
                negatives.sort(key=lambda j: -s[i][j])
                for j in negatives[max(1, round((0.5 if terms else 0.4) * len(negatives))) :]:
                    f[i][j] = -inf
        return f

    def loss_by_hand(
        self, near_: str, far_: str, temperature: float, similarity: str = "cosine", positives: bool = False
    ) -> list[float]:
        """The formula of `contrast`'s documentation, in loops: the loss of each anchor, 0 where P is zero."""
        measure = cosine if similarity == "cosine" else dot
        a, c = self.anchors.tolist(), self.candidates.tolist()
        pulled_to = self.positives.tolist() if positives else c
        s = [[measure(x, y) for y in c] for x in a]
        s_pull = [[measure(x, y) for y in pulled_to] for x in a]
        p = self.p_by_hand(near_)
        f = self.f_by_hand(far_, self.p_by_hand(near_.removeprefix("smoothed ")), s)
        losses = []
        for i in range(self.n):
            if not sum(p[i]):
                losses.append(0.0)
                continue
            log_z = log(sum(exp(s[i][j] / temperature + f[i][j]) for j in range(self.m)))
            losses.append(sum(p[i][j] * (log_z - s_pull[i][j] / temperature) for j in range(self.m)))
        return losses


NEARS = (
    "paired",
    "same_label",
    "half",
    "relu",
    "softmax",
    "overlap",
    "power",
    "weights",
    "smoothed paired",
    "smoothed same_label",
)
FARS = (
    "none",
    "self",
    "masked",
    "label",
    "weighted",
    "threshold",
    "positive",
    "unjudged",
    "harder",
    "weighted+harder+positive",
    "self+masked+harder",
    "hardest",
    "self+weighted+harder+hardest",
    "columns",
    "distance",
    "distance+masked+harder",
    "columns+distance+hardest",
)


def value_and_gradients(
    world: World,
    near_: str,
    far_: str,
    engine: str | Engine,
    dtype: torch.dtype = torch.float64,
    positives: bool = False,
    frozen: tuple[str, ...] = (),
    **options: Any,
) -> dict[str, Tensor]:
    """The loss, and its gradient for everything that is not frozen. Row losses are weighed before they are summed."""
    leaves = {"anchors": world.anchors, "candidates": world.candidates, "temperature": torch.tensor(0.3)}
    if positives:
        leaves["positives"] = world.positives
    if "distance" in far_:
        leaves |= {"second_a": world.second_a, "second_b": world.second_b}
    leaves = {name: x.detach().to(dtype, copy=True) for name, x in leaves.items()}
    for name, x in leaves.items():
        x.requires_grad_(name not in frozen)
    loss = contrast_of(world, near_, far_, leaves, engine=engine, **options)
    scalar = loss if loss.ndim == 0 else (loss * torch.arange(1, 1 + len(loss))).sum()
    wanted = [name for name in leaves if name not in frozen]
    gradients = torch.autograd.grad(scalar, [leaves[name] for name in wanted])
    return {"loss": loss.detach(), **dict(zip(wanted, gradients, strict=True))}


def contrast_of(world: World, near_: str, far_: str, leaves: dict[str, Tensor], **options: Any) -> Tensor:
    """`contrast` of the leaves: those called `second_` are inputs of F."""
    world = copy(world)
    for name in ("second_a", "second_b"):
        if name in leaves:
            setattr(world, name, leaves[name])
    arguments = {name: x for name, x in leaves.items() if not name.startswith("second_")}
    return contrast(**arguments, near=world.near(near_), far=world.far(far_), **options)  # type: ignore[arg-type]


def gap(one: dict[str, Tensor], other: dict[str, Tensor]) -> tuple[float, str]:
    """The largest difference relative to the tensor it is in, and which tensor that is."""
    assert one.keys() == other.keys()
    gaps = [(float((one[k] - other[k]).abs().max() / other[k].abs().max().clamp(min=1e-3)), k) for k in one]
    return max(gaps)


class Products(TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ in ("mm", "addmm", "addmm_", "bmm", "matmul")
        return func(*args, **(kwargs or {}))
