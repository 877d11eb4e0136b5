"""Pairs per second of rerankers: 100 documents a query, scored by nearfar, by transformers and by CrossEncoder.

    python benchmarks/speed/reranking.py [--rounds 3] [--threads 2] [--only cross-encoder|language-model] [--out FILE]

Queries are summaries of the standard library's docstrings, documents its entries, as in `nearfar demo`. Two models:
MiniLM with a new classifier, and SmolLM2-135M, which answers yes or no to the paper's prompt. The speed does not depend
on the values of the weights, so neither is trained. The small model has three queries, the large one has one.
`transformers, batched` pads batches of 16 prompts in the given order and computes all logits of the last position;
`CrossEncoder.rank` is the host library's own. The contestants take turns in one process; before, their scores of
some documents are compared, which is the warm-up. The result is written after each model.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import interleaved, summary, surroundings, write
from sentence_transformers import CrossEncoder
from torch import nn

from nearfar.demo.docstrings import harvest
from nearfar.models.cross_encoder import load_cross_encoder
from nearfar.models.yes_no import pair_logits
from nearfar.models.yes_no_prompts import set_prompt

BATCH = 16
TOLERANCE = 1e-4
#: Documents whose scores are compared with those of one at a time.
CHECKED = 20
#: Queries of each model: a language model takes a quarter of a minute for one.
QUERIES = {"MiniLM": 3, "SmolLM2-135M": 1}


def plain(model: CrossEncoder, query: str, documents: list[str]) -> np.ndarray:
    """The plain way: batches in the given order, padded on the left, all logits of the last position."""
    language: Any = model.transformers_model
    true, false = model[-1].true_token_id, model[-1].false_token_id  # type: ignore[union-attr]
    found = []
    for start in range(0, len(documents), BATCH):
        messages = [
            [{"role": "query", "content": query}, {"role": "document", "content": document}]
            for document in documents[start : start + BATCH]
        ]
        given = model.tokenizer.apply_chat_template(
            messages, return_dict=True, return_tensors="pt", padding=True, padding_side="left"
        ).to(model.device)
        with torch.inference_mode():
            logits = language(**given, use_cache=False, logits_to_keep=1).logits[:, -1].float()
        found.append(logits[:, true] - logits[:, false])
    return torch.cat(found).cpu().numpy()


def classified(model: CrossEncoder, query: str, documents: list[str]) -> np.ndarray:
    """The plain way for a classifier."""
    found = []
    for start in range(0, len(documents), BATCH):
        part = documents[start : start + BATCH]
        given = model.tokenizer(
            [query] * len(part), part, return_tensors="pt", padding=True, truncation=True, max_length=512
        ).to(model.device)
        with torch.inference_mode():
            found.append(model.transformers_model(**given).logits[:, 0].float())  # type: ignore[misc]
    return torch.cat(found).cpu().numpy()


def host(model: CrossEncoder, query: str, documents: list[str], batch_size: int) -> np.ndarray:
    """The host library's ranking, with scores in the order of the documents."""
    found = model.rank(query, documents, batch_size=batch_size, activation_fn=nn.Identity(), show_progress_bar=False)
    scores = np.empty(len(documents))
    scores[[each["corpus_id"] for each in found]] = [each["score"] for each in found]
    return scores


def measured(name: str, model: CrossEncoder, queries: list[str], documents: list[str], rounds: int) -> dict[str, Any]:
    """Seconds and pairs per second of each contestant."""
    raw = plain if name != "MiniLM" else classified

    def ours(query: str, documents: list[str]) -> np.ndarray:
        return pair_logits(model, [(query, document) for document in documents])[:, 0].cpu().numpy()

    contestants = {
        "nearfar": ours,
        "transformers, batched": lambda query, documents: raw(model, query, documents),
        "CrossEncoder.rank, batches of 32": lambda query, documents: host(model, query, documents, 32),
        "CrossEncoder.rank, batches of 8": lambda query, documents: host(model, query, documents, 8),
    }
    checked = queries[0], documents[:CHECKED]
    expected = host(model, *checked, 1)
    apart = {each: float(np.abs(run(*checked) - expected).max()) for each, run in contestants.items()}
    assert apart["nearfar"] < TOLERANCE * max(1.0, float(np.abs(expected).max())), apart
    timed = {each: (lambda run=run: [run(query, documents) for query in queries]) for each, run in contestants.items()}
    seconds = interleaved(timed, rounds, warm_up=False)
    pairs = len(queries) * len(documents)
    rates = {each: pairs / statistics.median(times) for each, times in seconds.items()}
    for each, rate in rates.items():
        print(f"{rate:10.1f} pairs/s  {rates['nearfar'] / rate:6.2f}  {name}, {each}", flush=True)
    best = max(rate for each, rate in rates.items() if each.startswith("CrossEncoder"))
    return {
        "queries": len(queries),
        "seconds": {each: summary(times) for each, times in seconds.items()},
        "pairs_per_second": rates,
        "ms_per_query": {each: 1000 * len(documents) / rate for each, rate in rates.items()},
        "times_transformers": rates["nearfar"] / rates["transformers, batched"],
        "times_cross_encoder": rates["nearfar"] / best,
        "largest_difference": apart,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["cross-encoder", "language-model"])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-reranking.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    about = surroundings("torch", "transformers", "sentence-transformers")
    entries = harvest()[:: max(1, len(harvest()) // args.documents)]
    queries = [entry.summary for entry in entries]
    documents = [entry.text for entry in entries[: args.documents]]
    loaders: dict[str, Callable[[], CrossEncoder]] = {}
    if args.only != "language-model":
        loaders["MiniLM"] = classifier
    if args.only != "cross-encoder":
        loaders["SmolLM2-135M"] = language_model
    found: dict[str, Any] = {
        "what": "pairs scored per second by rerankers",
        **about,
        "threads": args.threads,
        "documents": len(documents),
        "models": {},
    }
    for name, loaded in loaders.items():
        found["models"][name] = measured(name, loaded(), queries[: QUERIES[name]], documents, args.rounds)
        write(args.out, found)


def classifier() -> CrossEncoder:
    """MiniLM with a new classifier."""
    torch.manual_seed(0)
    return load_cross_encoder("minilm")


def language_model() -> CrossEncoder:
    """SmolLM2-135M with the paper's prompt."""
    model = load_cross_encoder("smollm2")
    set_prompt(model)
    return model


if __name__ == "__main__":
    main()
