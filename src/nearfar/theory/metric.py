"""The Fisher-Rao metric of next-token laws, pulled back to the states of a linear softmax head.

    g(h) = W^T (diag(p) - p p^T) W = Cov_{w ~ p}(W_w),     KL(p_{h + e v} || p_h) = e^2/2 v^T g v + O(e^3)

A direction v of the state with v^T g v = 0 does not change the law. Source: Zhang 2025 (arXiv 2507.19247, version 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nearfar.theory.laws import Laws, as_laws

if TYPE_CHECKING:
    from jaxtyping import Float

#: Numbers of a block of a head.
_BLOCK = 2**22


class MetricSpectrum(NamedTuple):
    """How a metric is spread over directions of the state.

    Args:
        eigenvalues: The largest first.
        trace: Their sum: the variance of the output embeddings under the law, E |W_w - mean|^2.
        effective_rank: exp of the entropy of the normalised eigenvalues.
        participation_ratio: (sum e)^2 / sum e^2; it weighs large eigenvalues more.
    """

    eigenvalues: Float[Tensor, " d"]
    trace: float
    effective_rank: float
    participation_ratio: float


@torch.no_grad()
def fisher_rao(head: Float[Tensor, "v d"], p: Float[Tensor, " v"]) -> Float[Tensor, "d d"]:
    """The metric of one context, in float64.

    Adding one vector to all rows of the head changes nothing.

    Args:
        head: W.
        p: The law of the context.
    """
    head, p = head.double(), p.double()
    mean = p @ head
    return head.T @ (p[:, None] * head) - mean.outer(mean)


@torch.no_grad()
def average_metric(
    laws: Laws | Float[Tensor, "n v"] | Iterable[Laws], head: Float[Tensor, "v d"]
) -> Float[Tensor, "d d"]:
    """The mean metric of many contexts, W^T diag(mean p) W - (PW)^T (PW) / n, in float64.

    Args:
        laws: Next-token laws; or several of them, one after the other, so that memory does not grow with the number of
            contexts. A block of the vocabulary is in memory at a time.
        head: W, of the state that the laws come from.
    """
    parts = [as_laws(laws)] if isinstance(laws, (Laws, Tensor)) else laws
    v, d = head.shape
    total, count = torch.zeros(v, dtype=torch.float64, device=head.device), 0
    means = torch.zeros(d, d, dtype=torch.float64, device=head.device)
    for each in parts:
        expected: Tensor | float = 0.0
        for part, p in each.blocks():
            total[part] += p.sum(0, dtype=torch.float64)
            expected = expected + p @ head[part].to(p)
        assert isinstance(expected, Tensor)
        means += (expected.T.double() @ expected.double()) if len(expected) else 0
        count += each.shape[0]
    second = torch.zeros_like(means)
    for part in _blocks_of_rows(v, d):
        rows = head[part].double()
        second.addmm_(rows.T, total[part, None] * rows)
    return (second - means) / count


def metric_spectrum(metric: Float[Tensor, "d d"]) -> MetricSpectrum:
    """Eigenvalues of a metric, and how many directions they are spread over."""
    values = torch.linalg.eigvalsh(metric.double()).clamp_(min=0).flip(0)
    trace = values.sum()
    shares = values / trace.clamp(min=torch.finfo(torch.float64).tiny)
    rank = float(torch.special.entr(shares).sum().exp())
    return MetricSpectrum(values, float(trace), rank, float(1 / shares.square().sum().clamp(min=1e-300)))


def sensitivity(
    logits_of: Callable[[Tensor], Tensor], state: Float[Tensor, " d"], direction: Float[Tensor, " d"]
) -> float:
    """v^T g v: how fast the law changes when the state moves in a direction.

    It is the variance of the logits' derivative under the law, by a forward derivative: no Jacobian is built, so the
    state may be of any layer, followed by the rest of the network.

    Args:
        logits_of: From a state to its logits (v,): the head, or all that follows an inner layer.
        state: h.
        direction: v.
    """
    found = torch.func.jvp(logits_of, (state,), (direction,))
    logits, change = found[0], found[1]
    p = logits.double().softmax(-1)
    return float((p * change.double().square()).sum() - (p * change.double()).sum().square())


@torch.no_grad()
def jeffreys(p: Float[Tensor, "*batch v"], q: Float[Tensor, "*batch v"]) -> Float[Tensor, "*batch"]:
    """KL(p || q) + KL(q || p), in nats."""
    p, q = p.double(), q.double()
    return (torch.xlogy(p - q, p) - torch.xlogy(p - q, q)).sum(-1)


@torch.no_grad()
def path_integral(
    start: Float[Tensor, " d"],
    end: Float[Tensor, " d"],
    head: Float[Tensor, "v d"],
    bias: Float[Tensor, " v"] | None = None,
    nodes: int = 20,
) -> float:
    """Integral over the segment of states of D^T g(h_t) D, with D = end - start.

    For a linear softmax head it equals Jeffreys' divergence of the two laws, and is at least the squared geodesic
    distance, 4 arccos^2(sum sqrt(p q)).

    Args:
        start, end: Two states.
        head, bias: W and b.
        nodes: Number of Gauss-Legendre nodes.
    """
    import numpy as np

    places, weights = np.polynomial.legendre.leggauss(nodes)
    start, end, head = start.double(), end.double(), head.double()
    along = head @ (end - start)
    total = 0.0
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        logits = head @ (start + float(place) * (end - start))
        p = (logits if bias is None else logits + bias.double()).softmax(-1)
        total += float(weight) * float((p * along.square()).sum() - (p * along).sum().square())
    return total


def _blocks_of_rows(v: int, d: int) -> Iterable[slice]:
    step = max(1, _BLOCK // d)
    return (slice(start, min(start + step, v)) for start in range(0, v, step))
