"""Speed of the kernel on a GPU, compared with two packages that implement some of its cases.

    python benchmarks/gpu/kernel.py [--sizes 4096 16384 65536] [--widths 128 384 1024] [--rounds 9] [--out FILE]

Measures forward and backward pass together, including normalisation, with CUDA events: the median of rounds in which
the contenders take turns, each with the next of several input sets, so that no input is in the cache. First, the loss
and the gradient of every contender are compared with float32 arithmetic without tensor cores; one that differs is not
timed.

    one way      candidates of one batch as negatives, gradients for both sides
    both ways    the symmetric loss of CLIP
    frozen       one way, no gradient for the candidates

`inf_cl` (cal_flash_loss, one way; both ways is two calls) always multiplies in Triton's default, tf32. `memeff`
(MemoryEfficientCLIPLoss, both ways; MemoryEfficientLiTLoss, frozen) multiplies half-precision inputs as they are, while
nearfar converts them to float32, and others in tf32 unless MEMEFF_INPUT_PRECISION is set. Both therefore "differ" if
float32 products must be exact. For the comparison: pip install inf_cl==1.2.1 memeff==0.3.1
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar import contrast
from nearfar.engines import Streaming

TAU = 0.05
CASES = ("one way", "both ways", "frozen")
#: Dtype of the inputs, precision of float32 products, and tolerance of the loss and the gradient.
SETTINGS = (("bfloat16", "high", 2e-2), ("float32", "high", 2e-2), ("float32", "highest", 1e-4))
INPUT_SETS = 4
RESULT = Path(__file__).parents[1] / "results" / "speed-kernel-gpu.json"

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Contender:
    """A loss of (anchors, candidates), with its measurements, or the reason why it was not measured."""

    name: str
    loss: Loss
    times: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    loss_error: float = 0.0
    gradient_error: float = 0.0
    fault: str | None = None


def contenders(case: str, d: int) -> list[Contender]:
    def ours(engine: str) -> Loss:
        return lambda a, c: contrast(a, c, temperature=TAU, symmetric=case == "both ways", engine=engine)  # type: ignore[arg-type]

    found = [
        Contender("triton", ours("triton")),
        Contender("streaming", ours("streaming")),
        Contender("dense", ours("dense")),
    ]
    if installed("inf_cl"):
        found.append(Contender("inf_cl", inf_cl(case, d)))
    if installed("memeff") and case != "one way":
        found.append(Contender("memeff", memeff(case)))
    return found


def installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def inf_cl(case: str, d: int) -> Loss:
    from inf_cl import cal_flash_loss

    # Its kernels split the width into heads, which must divide it.
    head = next(h for h in (256, 128, 64, 32, 16) if d % h == 0)

    def loss(a: Tensor, c: Tensor) -> Tensor:
        a, c = F.normalize(a, dim=1), F.normalize(c, dim=1)
        one = cal_flash_loss(a, c, scale=1 / TAU, head_dim=head).mean()
        return (one + cal_flash_loss(c, a, scale=1 / TAU, head_dim=head).mean()) / 2 if case == "both ways" else one

    return loss


def memeff(case: str) -> Loss:
    from memeff import MemoryEfficientCLIPLoss, MemoryEfficientLiTLoss

    # stable=False: gradients are not rescaled by the batch size.
    return (MemoryEfficientCLIPLoss if case == "both ways" else MemoryEfficientLiTLoss)(temperature=TAU, stable=False)


def inputs(n: int, d: int, dtype: torch.dtype, case: str, seed: int) -> tuple[Tensor, Tensor]:
    """Anchors with slightly similar candidates, so that the loss is of order 1 and not a rounding error."""
    g = torch.Generator("cuda").manual_seed(seed)
    a = torch.randn(n, d, device="cuda", generator=g)
    c = a + 3 * torch.randn(n, d, device="cuda", generator=g)
    return a.to(dtype).requires_grad_(), c.to(dtype).requires_grad_(case != "frozen")


def step(loss: Loss, a: Tensor, c: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    value = loss(a, c)
    return value.detach(), torch.autograd.grad(value, [x for x in (a, c) if x.requires_grad])


def check(found: list[Contender], case: str, a: Tensor, c: Tensor, precision: str, tolerance: float) -> None:
    torch.set_float32_matmul_precision("highest")
    exact = Streaming()
    value, gradients = step(
        lambda a, c: contrast(a, c, temperature=TAU, symmetric=case == "both ways", engine=exact), a, c
    )
    torch.set_float32_matmul_precision(precision)
    for one in found:
        try:
            got, got_gradients = step(one.loss, a, c)
            one.loss_error = float((got.float() - value).abs() / value.abs())
            one.gradient_error = max(
                float((x.float() - y.float()).norm() / y.float().norm())
                for x, y in zip(got_gradients, gradients, strict=True)
            )
            # "not <=" rather than ">": NaN is a difference, too. Gradients have the dtype of the inputs.
            if not (one.loss_error <= tolerance and one.gradient_error <= 2 * tolerance):
                one.fault = f"differs: loss by {one.loss_error:.1e}, gradient by {one.gradient_error:.1e}"
        except torch.cuda.OutOfMemoryError:
            one.fault = "out of memory"
        except Exception as error:  # another package may not support this shape; its failure is a result, and printed
            if one.name.startswith(("triton", "streaming", "dense")):
                raise
            one.fault = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        torch.cuda.empty_cache()


def measure(found: list[Contender], sets: list[tuple[Tensor, Tensor]], rounds: int) -> None:
    alive = [one for one in found if one.fault is None]
    for one in alive:
        step(one.loss, *sets[0])
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(one.loss, *sets[0])
        one.peak_mib = (torch.cuda.max_memory_allocated() - before) / 2**20
    for k in range(rounds):
        for place in range(len(alive)):
            one = alive[(place + k) % len(alive)]  # another order in every round
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize()
            start.record()
            step(one.loss, *sets[k % len(sets)])
            stop.record()
            stop.synchronize()
            one.times.append(start.elapsed_time(stop))


def run(
    n: int, d: int, dtype: str, precision: str, tolerance: float, case: str, rounds: int
) -> list[dict[str, object]]:
    sets = [inputs(n, d, getattr(torch, dtype), case, seed) for seed in range(INPUT_SETS)]
    found = contenders(case, d)
    check(found, case, *sets[0], precision, tolerance)
    measure(found, sets, rounds)
    ours = found[0]
    print(f"\n{case}, n = m = {n}, d = {d}, {dtype}, float32 products {precision!r}")
    rows: list[dict[str, object]] = []
    for one in found:
        row: dict[str, object] = {
            "case": case, "n": n, "d": d, "inputs": dtype, "float32_precision": precision, "name": one.name,
            "fault": one.fault, "loss_error": one.loss_error, "gradient_error": one.gradient_error,
        }  # fmt: skip
        if one.fault is not None:
            print(f"  {one.name:14} {one.fault}")
        else:
            median = statistics.median(one.times)
            ratio = None if ours.fault else median / statistics.median(ours.times)
            row |= {"ms": median, "ms_all": one.times, "times_triton": ratio, "peak_mib": one.peak_mib}
            against = "" if ratio is None else f"{ratio:6.2f} x triton"
            print(f"  {one.name:14} {median:9.2f} ms  {against}  {one.peak_mib:9.0f} MiB  off by {one.loss_error:.0e}")
        rows.append(row)
    return rows


def save(path: Path, rounds: int, rows: list[dict[str, object]]) -> None:
    packages = ("nearfar", "torch", "triton", "inf_cl", "memeff")
    result = {
        "command": " ".join(["python", "benchmarks/gpu/kernel.py", *sys.argv[1:]]),
        "gpu": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) if installed(name) else None for name in packages},
        "temperature": TAU,
        "rounds": rounds,
        "rows": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(temporary, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 16384, 65536])
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 384, 1024])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu/kernel.py: no CUDA device found; run it on a machine with an NVIDIA GPU")
    for package in ("inf_cl", "memeff"):
        if not installed(package):
            print(f"{package} is not installed and is not compared")
    rows: list[dict[str, object]] = []
    for dtype, precision, tolerance in SETTINGS:
        for n in options.sizes:
            for d in options.widths:
                for case in options.cases:
                    rows += run(n, d, dtype, precision, tolerance, case, options.rounds)
                    save(options.out, options.rounds, rows)
    wrong = [row for row in rows if str(row["fault"]).startswith("differs") and row["name"] not in ("inf_cl", "memeff")]
    if wrong:
        sys.exit(f"{len(wrong)} of nearfar's own results differ from the reference; see {options.out}")


if __name__ == "__main__":
    main()
