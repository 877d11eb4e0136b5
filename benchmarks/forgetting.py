"""What hard fine-tuning forgets, and how much of gain and general quality a fusion within a limit of loss keeps.

    NEARFAR_DATA=FOLDER python benchmarks/forgetting.py [--seeds 5] [--jobs 1]

MiniLM is tuned hard by infonce (4 epochs at a learning rate of 2e-4, ten times the usual one) on 12
questions of each of the 77 intents of Banking77. Then the weight between the base model and the tuned one is chosen as
in `nearfar fuse --data`: by the gain on other questions of the training part, under a limit of loss on the general set
that comes with the package. Reported are figures on three sets that chose nothing:

- `domain`: nDCG@10 on the test part of Banking77; a question should find the questions of the same intent.
- `sts`: Spearman's correlation on every sixth pair of the test part of STS-B.
- `duplicates`: nDCG@10 on 150 pairs of QQP that are marked as duplicates; a question should find its duplicate.

`general` is the general set as a whole, one half of which chose. Intervals are Student's over the seeds, which decide
the questions to train on, their order, dropout, and the halves. `gain_kept` is the gain of the fused model as a share
of the gain of the tuned one; `loss_avoided` is one minus the loss of the fused model as a share of the loss of the
tuned one, both of means over the seeds. Figures of each seed are kept in results/.forgetting.json, so that an
interrupted run resumes. About three CPU-minutes a seed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from filelock import FileLock
from scipy import stats

import nearfar
from claims._data import table
from nearfar.data import Retrieval
from nearfar.models import load
from nearfar.models.fusion import model_folder
from nearfar.models.interpolation import interpolate
from nearfar.training.forgetting import GeneralSet, read_general
from nearfar.training.fusing import choose, measure_line
from nearfar.writing import write_text

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / ".forgetting.json"
TRAINED, QUERIES, DOCUMENTS = 12, 2, 4
LIMITS = (0.02, 0.05)
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 1.0)
DUPLICATES = 150
HOW: dict[str, Any] = {"learning_rate": 2e-4, "epochs": 4.0, "batch_size": 32, "max_length": 32}


def by_intent(part: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in table("banking77", f"banking77-{part}.tsv.gz"):
        found.setdefault(row["intent"], []).append(row["text"])
    return found


def search(texts: dict[str, list[str]], queries: int) -> Retrieval:
    """The first questions of each intent look for the others of it."""
    corpus, asked, relevant = {}, {}, {}
    for intent, of in texts.items():
        ids = {f"{intent} {place}": text for place, text in enumerate(of)}
        of_intent = dict(list(ids.items())[queries:])
        corpus |= of_intent
        for name, text in list(ids.items())[:queries]:
            asked[name], relevant[name] = text, dict.fromkeys(of_intent, 1)
    return Retrieval(corpus, asked, relevant)


def questions(seed: int) -> tuple[Dataset, Retrieval]:
    """Labelled training questions, and the validation search over others."""
    rng, rows, others = np.random.default_rng(seed), [], {}
    for intent, texts in by_intent("train").items():
        drawn = [texts[place] for place in rng.permutation(len(texts))]
        rows += [{"text": text, "label": intent} for text in drawn[:TRAINED]]
        others[intent] = drawn[TRAINED : TRAINED + QUERIES + DOCUMENTS]
    return Dataset.from_list(rows), search(others, QUERIES)


def duplicates() -> Retrieval:
    pairs = [row for row in table("qqp", "qqp-dev.tsv.gz") if row["is_duplicate"] == "1"][:DUPLICATES]
    documents = {text: f"d{place}" for place, text in enumerate(dict.fromkeys(row["question2"] for row in pairs))}
    queries = {text: f"q{place}" for place, text in enumerate(dict.fromkeys(row["question1"] for row in pairs))}
    relevant: dict[str, dict[str, int]] = {}
    for row in pairs:
        relevant.setdefault(queries[row["question1"]], {})[documents[row["question2"]]] = 1
    return Retrieval(*({name: text for text, name in of.items()} for of in (documents, queries)), relevant)


def sts() -> Dataset:
    rows = table("sts", "stsb-test.tsv.gz")[::6]
    return Dataset.from_list(
        [{**{k: row[k] for k in ("sentence1", "sentence2")}, "score": float(row["score"])} for row in rows]
    )


def scores(model: Path) -> dict[str, float]:
    """The sets that are reported."""
    loaded = load(model)
    domain = {intent: texts[: QUERIES + DOCUMENTS] for intent, texts in by_intent("test").items()}
    sets = {"domain": search(domain, QUERIES), "sts": sts(), "duplicates": duplicates()}
    return {name: nearfar.evaluate(loaded, rows).score for name, rows in sets.items()}


def of_base() -> dict[str, Any]:
    base = model_folder("minilm")
    return {**scores(base), "general": read_general("builtin").measure(load(base)).score}


def of_seed(seed: int) -> dict[str, Any]:
    began, base = time.process_time(), model_folder("minilm")
    rows, validation = questions(seed)
    with tempfile.TemporaryDirectory() as folder:
        run = nearfar.train("infonce", rows, out=Path(folder, "run"), seed=seed, **HOW)
        tuned = run.folder / "model"
        line = measure_line(
            base, tuned, GeneralSet(validation, "validation"), read_general("builtin"), weights=WEIGHTS, seed=seed
        )
        known = {1.0: {**scores(tuned), "general": line.general[1.0].score}}
        found: dict[str, Any] = {"tuned": known[1.0], "limits": {}}
        for limit in LIMITS:
            choice = choose(line, limit, seed=seed)
            if choice.weight is not None and choice.weight not in known:
                fused = interpolate(base, tuned, Path(folder, f"fused-{limit}"), choice.weight)
                known[choice.weight] = {**scores(fused), "general": line.general[choice.weight].score}
            reported = {} if choice.weight is None else {"scores": known[choice.weight]}
            found["limits"][str(limit)] = {**choice.as_dict(), **reported}
    return {**found, "cpu_seconds": round(time.process_time() - began)}


def kept(seed: int | None) -> dict[str, Any]:
    """The figures of an earlier run, or new ones; None for those of the base model."""
    figures, name = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}, "base" if seed is None else str(seed)
    if name not in figures:
        made = of_base() if seed is None else of_seed(seed)
        with FileLock(f"{KEPT}.lock"):
            figures = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
            figures[name] = made
            write_text(json.dumps(figures), KEPT)
        print(name, made if seed is None else (made["tuned"], made["limits"]), flush=True)
    return figures[name]


def interval(values: Sequence[float]) -> dict[str, float]:
    """The mean with Student's 95 % interval over the seeds."""
    mean, error = float(np.mean(values)), float(stats.sem(values)) if len(values) > 1 else float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error if len(values) > 1 else 0.0
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def summary(base: dict[str, float], figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def changes(of: Sequence[dict[str, float]]) -> dict[str, list[float]]:
        return {name: [each[name] - base[name] for each in of] for name in base}

    tuned = changes([each["tuned"] for each in figures])
    found: dict[str, Any] = {
        "base": {name: round(score, 4) for name, score in base.items()},
        "tuned": {name: interval(values) for name, values in tuned.items()},
        "fused": {},
    }
    for limit in map(str, LIMITS):
        of = [each["limits"][limit] for each in figures]
        # Where nothing gains within the limit, the base model stays.
        fused = changes([each.get("scores", base) for each in of])
        share = {name: float(np.mean(fused[name]) / np.mean(tuned[name])) for name in base}
        found["fused"][limit] = {
            "weights": [each["weight"] for each in of],
            "change": {name: interval(values) for name, values in fused.items()},
            "gain_kept": round(share["domain"], 3),
            # Only of what the tuned model loses.
            "loss_avoided": {name: round(1 - share[name], 3) for name in base if found["tuned"][name]["high"] < 0},
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    seeds, base = range(arguments.seeds), kept(None)
    if arguments.jobs > 1:
        with ProcessPoolExecutor(arguments.jobs) as pool:
            figures = list(pool.map(kept, seeds))
    else:
        figures = [kept(seed) for seed in seeds]
    result = {
        "model": "minilm",
        "trained_on": f"Banking77, {TRAINED} questions of each intent",
        "options": HOW,
        "seeds": len(figures),
        **summary(base, figures),
        "cpu_seconds": [each["cpu_seconds"] for each in figures],
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
    }
    write_text(json.dumps(result, indent=1) + "\n", RESULTS / "forgetting.json")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
