"""The public entry point of the kernel: `contrast`, the loss that every recipe composes.

The package imports this module eagerly, so that `nearfar.contrast` is the function; the first call imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from torch.distributed import ProcessGroup

    from nearfar.blocks import Far, Near
    from nearfar.engines import Engine, EngineName

__all__ = ["contrast"]


def contrast(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    near: Near | None = None,
    far: Far | None = None,
    positives: Float[Tensor, "m d"] | None = None,
    temperature: float | Float[Tensor, ""] = 0.05,
    similarity: Literal["cosine", "dot"] = "cosine",
    symmetric: bool = False,
    reduction: Literal["mean", "sum", "none"] = "mean",
    empty: Literal["error", "zero"] = "error",
    engine: EngineName | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    """The contrastive loss: pulls anchors towards near candidates and pushes them away from far ones.

        logZ_i = logsumexp_j( S_ij / tau + F_ij )
        loss_i = sum_j P_ij ( logZ_i - S_ij / tau )

    with similarity S (n, m), nearness P >= 0 and farness F in [-inf, inf). F changes the denominator only. The sum of a
    row of P is that anchor's weight; an anchor whose row is all zeros is excluded from the mean.

    Args:
        anchors: float64, float32, bfloat16 or float16; half precision is raised to float32 for all sums.
        candidates: Vectors in the same space.
        near: Builder of P, see `nearfar.near`; None: `near.paired()`.
        far: Builder of F, see `nearfar.far`; combine builders with `+`.
        positives: Replace the candidates in the numerator only (pull towards one set, push away from another).
        temperature: tau > 0; a 0-d tensor that requires grad gets its exact gradient.
        similarity: `"cosine"` normalises both sides, `"dot"` uses them unchanged.
        symmetric: Half this direction, half the opposite one (candidates as anchors), as in CLIP.
        reduction: `"none"` returns one loss for each anchor, 0 where its row of P is zero.
        empty: The mean where no anchor has a positive: an error, or 0 with zero gradients, for losses whose anchors are
            only some rows of a batch. Not with `symmetric`.
        engine: `"dense"` is the reference and can be differentiated twice; `"streaming"` never has an n x m matrix;
            `"triton"` is the same on a GPU; `"auto"` is `"triton"` on a GPU with triton, else `"streaming"`. Where
            `anchors` and `candidates` are the same tensor and P and F are symmetric (SupCon, NT-Xent), the last three
            compute half of S.
        group: Processes that each have a shard of one global batch. Value and gradients are those of one process with
            the anchors of all, then the candidates that belong to them, then the extra candidates of all.

    Raises:
        ValueError: shapes that do not fit, an empty batch, NaN or infinity in the input, no anchor with a positive
            (the mean has nothing to average; a sum of no losses is 0), an empty denominator.

    Example:
        >>> loss = contrast(queries, documents, temperature=0.05)                          # InfoNCE
        >>> loss = contrast(z, z, near.same_label(y), far.except_self(), temperature=0.1)  # SupCon
        >>> loss = contrast(images, texts, temperature=tau, symmetric=True)                # CLIP
    """
    from nearfar.engines import Problem, choose, reduced
    from nearfar.engines.checks import check, explain, is_finite
    from nearfar.engines.inputs import common_dtype, full_precision, scalar, vectors
    from nearfar.near import paired

    near = paired() if near is None else near
    check(anchors, candidates, positives, near, far, similarity, reduction)
    if empty not in ("error", "zero") or (empty == "zero" and symmetric):
        raise ValueError(f'invalid empty: must be "error", or "zero" without symmetric=True, got {empty!r}')
    with full_precision(anchors.device.type):
        dtype = common_dtype(anchors, candidates)
        tau = scalar(temperature, anchors.device, dtype)
        a = vectors(anchors, dtype, similarity)
        one_side = anchors is candidates and near.symmetric and (far is None or far.symmetric)
        c = a if one_side else vectors(candidates, dtype, similarity)
        p = None if positives is None else vectors(positives, dtype, similarity)
        reach = 1 / float(tau.detach()) if similarity == "cosine" else float("inf")
        problem = Problem(a, c, near, far, tau, p, reach)
        runner = choose(engine, problem, group)
        if reduction != "none":
            if symmetric:
                loss = runner.both_ways(problem, reduction)
            else:
                loss = reduced(*runner.total(runner.ready(problem)), reduction, least=int(empty == "zero"))
        else:
            loss, _ = runner.rows(runner.ready(problem))
            if symmetric:
                if a.shape != c.shape:
                    raise ValueError('symmetric=True with reduction="none" requires as many candidates as anchors')
                loss = (loss + runner.rows(runner.ready(problem.transposed()))[0]) / 2
        # The inputs too: a NaN in an anchor without a positive leaves the loss finite, but not the gradients.
        if not is_finite(loss, anchors, candidates, positives):
            raise ValueError(explain(problem, anchors, candidates, positives, group))
        return loss
