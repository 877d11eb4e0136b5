"""How often does `nearfar compare` name a winner among equal recipes, and how often does it find a true difference?

    NEARFAR_DATA=FOLDER python benchmarks/calibration.py [--jobs 2] [--runs 20] [--simulations 2000]

Real runs: a small static model trained by infonce on claims of SciFact and the titles that
they cite (retrieval), on questions of Banking77 (classification), and on sentences of STS-B (correlation), with
two learning rates each, many seeds each. Values of each item are kept in results/.calibration.json, so that an
interrupted benchmark resumes.

- A/A with real runs: runs of one setting are drawn without replacement and given to two, three or four names. Each
  name is equal by construction, so that every significant difference is false. The family of all names that are
  tested against the first one counts once: the rate is that of comparisons with any false winner. Many comparisons are
  drawn from the same runs and are not independent, so that the true uncertainty is larger than the intervals say.
- A/A by simulation: values of items with the variances of the real runs between items, between runs, and of single
  items from run to run; `equal in truth` adds items at which one recipe is better and others at which it is worse;
  in `runs differ` whole runs differ by twenty times the variance that single items give them; in `some runs differ`
  those of one recipe in four, at least of one, differ by a hundred times the variance of the others.
- Power: how often a difference is found, simulated by its size, and of the real settings against each other.
- Reruns: how often two comparisons of the same recipes with new seeds have the same verdict.

Rates are given with Clopper-Pearson intervals of 95 %. `before` is the interval with the degrees of freedom of Welch
and Satterthwaite, which `compare` used until this benchmark was made. About half an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from scipy.stats import binomtest, t
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from transformers import set_seed

sys.path.insert(0, str(Path(__file__).parent / "claims"))  # they import each other by name

import nearfar
from _scifact import claims
from claims._claim import kept
from claims._data import table
from nearfar.comparison.significance import estimate, holm
from nearfar.kinds.loading import of
from nearfar.recipes import infonce
from nearfar.training.stages import train_plan
from nearfar.writing import write_text

NAME = "calibration"
SEEDS, NAMES = (2, 3, 5), (2, 3, 4)
#: Names of simulations: there are not enough real runs for so many.
SIMULATED = (*NAMES, 8)
SIZES = (0.0, 0.01, 0.02, 0.05)
LEVEL = 0.05
#: Titles of SciFact that are searched besides those that are cited.
DISTRACTORS = 1500
#: Setting -> task, learning rate, steps.
SETTINGS: dict[str, tuple[str, float, int]] = {
    "scifact, 3e-3": ("scifact", 3e-3, 30),
    "scifact, 4e-3": ("scifact", 4e-3, 30),
    "banking77, 3e-3": ("banking77", 3e-3, 30),
    "banking77, 4e-3": ("banking77", 4e-3, 30),
    "stsb, 3e-3": ("stsb", 3e-3, 30),
    "stsb, 2e-3": ("stsb", 2e-3, 30),
}
#: Dimensions of the static model.
DIMS = 64
#: So many simulations for one comparison that is drawn from real runs: that of correlations takes long.
DRAWS = {"scifact": 4, "banking77": 4, "stsb": 20}
#: What is simulated: see the top of this file.
KINDS = (
    "simulated_same_recipe",
    "simulated_equal_in_truth",
    "simulated_runs_differ",
    "simulated_some_runs_differ",
)
Values = np.ndarray  # runs x items


@cache
def rows_of(task: str) -> tuple[Dataset, Any, Dataset | None]:
    """Training rows, evaluation rows, and the rows on which the evaluation's classifier learns."""
    rng = np.random.default_rng(0)
    if task == "scifact":
        pairs, test, _ = claims()
        answers = {document for documents in test.relevant.values() for document in documents}
        others = [document for document in test.corpus if document not in answers]
        chosen = answers | {others[each] for each in rng.permutation(len(others))[:DISTRACTORS]}
        titles = {document: title for document, title in test.corpus.items() if document in chosen}
        return Dataset.from_list(pairs), replace(test, corpus=titles), None
    if task == "banking77":
        parts = [
            [{"text": row["text"], "label": row["intent"]} for row in table(task, f"banking77-{part}.tsv.gz")]
            for part in ("train", "test")
        ]
        train, test_rows = ([rows[each] for each in rng.permutation(len(rows))] for rows in parts)
        return Dataset.from_list(train[:1500]), Dataset.from_list(test_rows[:400]), Dataset.from_list(train[:1500])
    scored = [
        {"sentence1": row["sentence1"], "sentence2": row["sentence2"], "score": float(row["score"])}
        for row in table("sts", "stsb-dev.tsv.gz")
    ]
    same = [row for row in table("sts", "stsb-train.tsv.gz") if float(row["score"]) >= 4]
    alike = dict.fromkeys((row["sentence1"], row["sentence2"]) for row in same if row["sentence1"] != row["sentence2"])
    drawn = [scored[each] for each in rng.permutation(len(scored))[:300]]
    return Dataset.from_list([{"anchor": a, "positive": b} for a, b in alike]), Dataset.from_list(drawn), None


def base_model() -> SentenceTransformer:
    """A static model: MiniLM's input vectors of tokens, on their principal components."""
    whole = nearfar.load("minilm")
    weights = whole[0].auto_model.get_input_embeddings().weight.detach()
    weights = weights - weights.mean(0)
    directions = torch.linalg.eigh(weights.T @ weights).eigenvectors[:, -DIMS:]
    static = StaticEmbedding(whole.tokenizer.backend_tokenizer, embedding_weights=(weights @ directions).numpy())
    return SentenceTransformer(modules=[static], device="cpu")


def measured(setting: str, seed: int) -> list[float]:
    """The value of each item after training with this seed."""
    task, learning_rate, steps = SETTINGS[setting]
    rows, test, learn = rows_of(task)
    model = base_model()
    options = infonce.Options(batch_size=32, learning_rate=learning_rate, max_steps=steps, save_steps=steps)
    of(model).configure(options)
    set_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        train_plan(infonce.prepare(model, rows, options), options, folder, seed)
    found = nearfar.evaluate(model, test, train=learn, seed=0)
    assert found.per_item is not None
    return found.per_item["similarity" if task == "stsb" else found.primary].tolist()


def gold_of(task: str) -> Values | None:
    return np.array(rows_of(task)[1]["score"]) if task == "stsb" else None


def significant(tables: list[Values], gold: Values | None = None) -> list[int]:
    """Of each table but the first: 1 if it is significantly better than the first one, -1 if worse, 0 otherwise."""
    found = estimate({str(number): values for number, values in enumerate(tables)}, gold, resamples=200)
    names = [str(number) for number in range(1, len(tables))]
    corrected = holm([found.p_value(name, "0") for name in names])
    signs = [np.sign(found.difference(name, "0").mean) for name in names]
    return [int(sign) if p < LEVEL else 0 for sign, p in zip(signs, corrected, strict=True)]


def before(tables: list[Values]) -> list[int]:
    """As `significant`, with the degrees of freedom of Welch and Satterthwaite, runs paired by their number."""
    p_values, signs = [], []
    for values in tables[1:]:
        gaps = values - tables[0]
        (seeds, items), mean = gaps.shape, gaps.mean()
        by_item, by_seed = gaps.mean(0).var(ddof=1) / items, gaps.mean(1).var(ddof=1) / seeds
        total = by_item + by_seed
        freedom = total**2 / (by_item**2 / (items - 1) + by_seed**2 / (seeds - 1))
        p_values.append(2 * t.sf(abs(mean) / math.sqrt(total), freedom))
        signs.append(int(np.sign(mean)))
    return [sign if p < LEVEL else 0 for sign, p in zip(signs, holm(p_values), strict=True)]


def variances(values: Values, other: Values) -> dict[str, float]:
    """Variances of items, of runs, of items from run to run, and of items by recipe (analysis of variance)."""
    runs, items = values.shape
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    noise = float((rest**2).sum() / ((runs - 1) * (items - 1)))
    gaps = float((values.mean(0) - other.mean(0)).var(ddof=1)) - 2 * noise / runs
    return {
        "items": max(0.0, float(values.mean(0).var(ddof=1)) - noise / runs),
        "runs": max(0.0, float(values.mean(1).var(ddof=1)) - noise / items),
        "items_from_run_to_run": noise,
        # Half of it for each of two recipes.
        "items_by_recipe": max(0.0, gaps / 2),
    }


def simulated(
    rng: np.random.Generator, names: int, seeds: int, items: int, of: dict[str, float], by_recipe: bool, wild: int = 0
) -> Callable[[float], list[Values]]:
    """Makes tables of equal recipes again and again, with new runs but the same items; the last one gains `size`.

    The runs of the last `wild` recipes differ ten times as much.
    """
    common = rng.normal(0, math.sqrt(of["items"]), items)
    own = rng.normal(0, math.sqrt(of["items_by_recipe"]) if by_recipe else 0.0, (names, 1, items))

    def again(size: float) -> list[Values]:
        runs = rng.normal(0, math.sqrt(of["runs"]), (names, seeds, 1))
        runs[names - wild :] *= 10
        noise = rng.normal(0, math.sqrt(of["items_from_run_to_run"]), (names, seeds, items))
        tables = common + own + runs + noise
        tables[-1] += size
        return list(tables)

    return again


def rate(count: int, total: int) -> dict[str, Any]:
    interval = binomtest(count, total).proportion_ci(method="exact")
    return {"rate": count / total, "interval_95": [interval.low, interval.high], "of": total}


def simulation(setting: str, other: str, runs: int, count: int, names: int, seeds: int, kind: int) -> Any:
    """False winners among equal recipes; `kind` is one of `KINDS`."""
    values = table_of(setting, runs)
    of_runs, rng = variances(values, table_of(other, runs)), np.random.default_rng([names, seeds, kind])
    by_recipe = kind == 1
    if kind == 2:
        of_runs["runs"] = 20 * of_runs["items_from_run_to_run"] / values.shape[1]
    wild = max(1, names // 4) if kind == 3 else 0
    false = old = 0
    for _ in range(count):
        tables = simulated(rng, names, seeds, values.shape[1], of_runs, by_recipe, wild)(0.0)
        false, old = false + any(significant(tables)), old + any(before(tables))
    return [false, old, count]


def power(setting: str, other: str, runs: int, count: int, seeds: int, size: float) -> Any:
    """True differences found, and verdicts that are the same in a rerun."""
    values = table_of(setting, runs)
    of_runs, rng = variances(values, table_of(other, runs)), np.random.default_rng([seeds, round(1000 * size)])
    found = agreed = 0
    for _ in range(count):
        again = simulated(rng, 2, seeds, values.shape[1], of_runs, True)
        (first,), (second,) = significant(again(size)), significant(again(size))
        found, agreed = found + (first == 1), agreed + (first == second)
    return [found, agreed, count]


def real(setting: str, runs: int, count: int, names: int, seeds: int) -> Any:
    """False winners among names of one setting."""
    values, gold = table_of(setting, runs), gold_of(SETTINGS[setting][0])
    rng, false, old = np.random.default_rng([names, seeds]), 0, 0
    for _ in range(count):
        drawn = rng.permutation(runs)[: names * seeds].reshape(names, seeds)
        tables = [values[each] for each in drawn]
        false += any(significant(tables, gold))
        old += any(before(tables)) if gold is None else 0
    return [false, old if gold is None else None, count]


def real_difference(setting: str, other: str, runs: int, count: int, seeds: int) -> Any:
    """How often two settings differ significantly in the direction of all runs, and how often a rerun agrees."""
    tables, gold = [table_of(each, runs) for each in (setting, other)], gold_of(SETTINGS[setting][0])
    whole = estimate({"a": tables[0], "b": tables[1]}, gold).difference("b", "a")
    rng, found, agreed = np.random.default_rng(seeds), 0, 0
    for _ in range(count):
        drawn = [rng.permutation(runs)[: 2 * seeds].reshape(2, seeds) for _ in tables]
        (first,), (second,) = (
            significant([values[each[half]] for values, each in zip(tables, drawn, strict=True)], gold)
            for half in (0, 1)
        )
        found, agreed = found + (first == np.sign(whole.mean)), agreed + (first == second)
    return [int(found), agreed, count, list(whole)]


@cache
def table_of(setting: str, runs: int) -> Values:
    return np.array([run_of(setting, seed) for seed in range(runs)])


def run_of(setting: str, seed: int) -> list[float]:
    return kept(NAME, f"{setting}: {seed}", lambda: measured(setting, seed))


def computed(key: str, function: Callable[..., Any], *arguments: Any) -> Any:
    return kept(NAME, f"{key}: {arguments}", lambda: function(*arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--simulations", type=int, default=2000)
    arguments = parser.parse_args()
    runs, count = arguments.runs, arguments.simulations
    if runs < max(SEEDS) * max(NAMES):
        parser.error(f"--runs: invalid {runs}: must be at least {max(SEEDS) * max(NAMES)}")
    pairs = list(zip(list(SETTINGS)[::2], list(SETTINGS)[1::2], strict=True))
    tasks: list[tuple[Any, ...]] = []
    for setting, other in pairs:
        draws = count // DRAWS[SETTINGS[setting][0]]
        tasks += [("real difference", real_difference, setting, other, runs, draws, seeds) for seeds in SEEDS]
        # A correlation has no simple table of values to simulate.
        if SETTINGS[setting][0] != "stsb":
            tasks += [
                ("simulation", simulation, setting, other, runs, count, names, seeds, kind)
                for kind in range(len(KINDS))
                for names in SIMULATED
                for seeds in SEEDS
            ]
            tasks += [
                ("power", power, setting, other, runs, count // 4, seeds, size) for seeds in SEEDS for size in SIZES
            ]
    tasks += [
        ("real", real, setting, runs, count // DRAWS[SETTINGS[setting][0]], names, seeds)
        for setting in SETTINGS
        for names in NAMES
        for seeds in SEEDS
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, context) as pool:
        first = [pool.submit(run_of, setting, seed) for seed in range(runs) for setting in SETTINGS]
        for each in first:
            each.result()
        for each in [pool.submit(computed, *task) for task in tasks]:
            each.result()
    write(tasks, pairs, runs, count)


def write(tasks: list[tuple[Any, ...]], pairs: list[tuple[str, str]], runs: int, count: int) -> None:
    found: dict[str, list[tuple[tuple[Any, ...], Any]]] = {}
    for task in tasks:
        found.setdefault(task[0], []).append((task[2:], computed(*task)))

    def pooled(kind: str, chosen: Callable[[tuple[Any, ...]], bool], at: int = 0) -> dict[str, Any]:
        counts = [(value[at], value[2]) for arguments, value in found[kind] if chosen(arguments)]
        known = [(of, total) for of, total in counts if of is not None]
        return rate(sum(of for of, _ in known), sum(total for _, total in known))

    def by_cell(kind: str, names_at: int, also: Callable[[tuple[Any, ...]], bool], at: int = 0) -> dict[str, Any]:
        return {
            f"{seeds} seeds": {
                **{
                    f"{names} names": pooled(
                        kind, lambda a, n=names, s=seeds: a[names_at : names_at + 2] == (n, s) and also(a), at
                    )
                    for names in (NAMES if kind == "real" else SIMULATED)
                },
                "all": pooled(kind, lambda a, s=seeds: a[names_at + 1] == s and also(a), at),
            }
            for seeds in SEEDS
        }

    result = {
        "false_winners": {
            "real_runs": by_cell("real", 3, lambda _: True),
            "real_runs_before": by_cell("real", 3, lambda _: True, 1),
            **{name: by_cell("simulation", 4, lambda a, k=kind: a[6] == k) for kind, name in enumerate(KINDS)},
            **{
                f"{name}_before": by_cell("simulation", 4, lambda a, k=kind: a[6] == k, 1)
                for kind, name in enumerate(KINDS)
            },
        },
        "simulated_difference": {
            f"{size:g}": {
                f"{seeds} seeds": {
                    "found": pooled("power", lambda a, s=seeds, d=size: a[4:] == (s, d)),
                    "reruns_agree": pooled("power", lambda a, s=seeds, d=size: a[4:] == (s, d), 1),
                }
                for seeds in SEEDS
            }
            for size in SIZES
        },
        "real_difference": {
            f"{other} minus {setting}": {
                f"{seeds} seeds": {
                    "difference_of_all_runs": value[3],
                    "found": rate(value[0], value[2]),
                    "reruns_agree": rate(value[1], value[2]),
                }
                for (*_, seeds), value in (
                    (arguments, value) for arguments, value in found["real difference"] if arguments[0] == setting
                )
            }
            for setting, other in pairs
        },
        "variances": {
            setting: {
                **variances(table_of(setting, runs), table_of(other, runs)),
                "items_measured": table_of(setting, runs).shape[1],
            }
            for setting, other in pairs
        },
        "model": f"static model of {DIMS} dimensions: principal components of MiniLM's input vectors; infonce, 32 rows",
        "settings": {
            name: dict(zip(("task", "learning_rate", "steps"), each, strict=True)) for name, each in SETTINGS.items()
        },
        "runs": runs,
        "simulations": count,
        "command": f"python benchmarks/calibration.py --runs {runs} --simulations {count}",
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
    }
    write_text(json.dumps(result, indent=1) + "\n", Path(__file__).parent / "results" / f"{NAME}.json")
    for name, cells in result["false_winners"].items():
        print(name, {cell: round(of["all"]["rate"], 4) for cell, of in cells.items()})


if __name__ == "__main__":
    main()
