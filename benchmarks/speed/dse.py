"""Pairs per second of a DSE scorer with precomputed vectors of the candidates, and of a cross-encoder of the same size.

    python benchmarks/speed/dse.py [--rounds 5] [--out FILE]

MiniLM for both; queries are summaries of the standard library's docstrings, candidates its entries. The speed does not
depend on the values of the weights, so neither model is trained. The contestants take turns in one process. A
cross-encoder reads every pair, so its speed is measured on a part of the pairs; the scorer is timed on all of them,
including the encoding of the queries.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch
from _timing import interleaved, summary, surroundings, write
from sentence_transformers import CrossEncoder
from torch import nn

from nearfar.demo.docstrings import harvest
from nearfar.kinds.pair_scorer import PairScorer
from nearfar.models import load
from nearfar.models.pairs.head import PairHead, PairHeadConfig
from nearfar.models.pairs.teacher import logits_of
from nearfar.models.pairs.top_layers import width

LAYERS = 4


def cross_encoder(max_length: int) -> CrossEncoder:
    """MiniLM with a new classifier."""
    encoder = load("minilm")
    with tempfile.TemporaryDirectory() as folder:
        encoder[0].model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        return CrossEncoder(folder, num_labels=1, activation_fn=nn.Identity(), max_length=max_length)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--read-pairs", type=int, default=400)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-dse.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    about = surroundings("torch", "transformers", "sentence-transformers")
    entries = harvest()[:: max(1, len(harvest()) // max(args.queries, args.candidates))]
    queries = [entry.summary for entry in entries[: args.queries]]
    candidates = [entry.text for entry in entries[: args.candidates]]
    pairs = [(query, candidate) for query in queries for candidate in candidates]
    part = pairs[:: max(1, len(pairs) // args.read_pairs)][: args.read_pairs]

    encoder = load("minilm", max_length=args.max_length)
    torch.manual_seed(0)
    scorer = PairScorer(encoder, PairHead(PairHeadConfig(width(encoder, LAYERS), layers=LAYERS)))
    reader = cross_encoder(2 * args.max_length)
    known = scorer.encode(candidates)
    seconds = interleaved(
        {
            "cross-encoder": lambda: logits_of(reader, part, "regression", 1),
            "scorer, candidates known": lambda: scorer.score_against(queries, known),
            "scorer, candidates encoded too": lambda: scorer.score_against(queries, scorer.encode(candidates)),
        },
        args.rounds,
    )
    counts = {name: len(part) if name == "cross-encoder" else len(pairs) for name in seconds}
    rates = {name: counts[name] / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        print(f"{rate:12.1f} pairs/s  {rate / rates['cross-encoder']:8.1f} times  {name}")
    write(
        args.out,
        {
            "what": "scored pairs per second: MiniLM as cross-encoder, and as encoder with a pair head",
            **about,
            "threads": args.threads,
            "queries": len(queries),
            "candidates": len(candidates),
            "max_length": args.max_length,
            "layers": LAYERS,
            "pairs_timed": counts,
            "seconds": {name: summary(times) for name, times in seconds.items()},
            "pairs_per_second": rates,
            "times_cross_encoder": {name: rate / rates["cross-encoder"] for name, rate in rates.items()},
        },
    )


if __name__ == "__main__":
    main()
