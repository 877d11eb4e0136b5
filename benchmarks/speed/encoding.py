"""Texts per second of encoding, against sentence-transformers on the same texts, and against ONNX and OpenVINO.

    python benchmarks/speed/encoding.py [--rounds 5] [--texts 1024] [--out FILE]

All contestants have the same weights (MiniLM), texts (docstrings of the standard library) and maximum length, and take
turns in one process. The exports are those of `nearfar export`. What each returns is compared before it is timed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import interleaved, summary, surroundings, write

from nearfar.demo.docstrings import harvest
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.serving import onnx_target, openvino_target

BATCH, PEER = 64, "sentence-transformers"
Encoder = Callable[[], np.ndarray]


def contestants(texts: Sequence[str], max_length: int, folder: Path) -> dict[str, Encoder]:
    model = load("minilm", max_length=max_length)
    found: dict[str, Encoder] = {
        "nearfar": lambda: encode(model, texts, batch_size=BATCH),
        PEER: lambda: model.encode(list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False),
    }
    for name, target in (("onnx", onnx_target), ("openvino", openvino_target)):
        for int8 in (False, True):
            path = folder / f"{name}-{int8}"
            path.mkdir()
            target.write(model, path, int8)
            exported = target.load(path, max_length)
            label = f"{name}, int8" if int8 else name
            found[label] = lambda exported=exported: encode(exported, texts, batch_size=BATCH)
    return found


def measured(texts: Sequence[str], max_length: int, rounds: int) -> dict[str, Any]:
    """Texts a second, the ratio to the peer, and the greatest difference of a cosine from 1 to the peer's vectors."""
    with tempfile.TemporaryDirectory() as folder:
        of = contestants(texts, max_length, Path(folder))
        vectors = {name: run() for name, run in of.items()}
        seconds = interleaved(of, rounds, warm_up=False)
    timed = {name: summary(each) for name, each in seconds.items()}
    paired = {
        name: float(np.median([theirs / ours for ours, theirs in zip(each, seconds[PEER], strict=True)]))
        for name, each in seconds.items()
    }
    return {
        "max_length": max_length,
        "seconds": timed,
        "texts_per_second": {name: round(len(texts) / each["median_s"], 1) for name, each in timed.items()},
        "relative_to_peer": paired,
        "cosine_difference": {
            name: float(1 - (each * vectors[PEER]).sum(1).min()) for name, each in vectors.items() if name != PEER
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=1_024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-encoding.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    about = surroundings("torch", "transformers", "sentence-transformers", "onnxruntime", "openvino")
    texts = [entry.text for entry in harvest()][: args.texts]
    lengths = [measured(texts, length, args.rounds) for length in (32, 128)]
    for found in lengths:
        print(f"{found['max_length']} tokens: {found['texts_per_second']}")
    what = "texts per second of encoding docstrings of the standard library by MiniLM, by the same weights"
    write(
        args.out,
        {"what": what, **about, "threads": args.threads, "texts": len(texts), "batch_size": BATCH, "lengths": lengths},
    )


if __name__ == "__main__":
    main()
