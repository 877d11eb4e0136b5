"""Does `nearfar inspect --fix` find planted faults, and is a model trained on repaired rows as good as on clean ones?

    NEARFAR_DATA=FOLDER python benchmarks/repair.py [--seeds 5] [--judge MODEL] [--detection]

Pairs are claims of SciFact and the titles of the abstracts that they cite, each with a random title as negative. In 5,
10 and 20 % of the rows a fault is planted, a third each: the row is repeated in upper case, the positive is that of a
random other claim, or the negative is the true positive and the positive the first sentence of its abstract. Labelled
rows are questions of Banking77 of 10 and of 30 labels; in as many rows the label is exchanged for another.

Precision and recall of each fault are over all seeds, with Wilson's 95 % intervals. Rows that are changed without a
planted fault count against precision, although some of them may be wrong in the public data, too.

MiniLM is trained by infonce on clean, faulty and repaired rows, and each arm minus the clean one is given with its
paired interval over what is asked:

- pairs, 10 % faulty: nDCG@10 of the test claims over the titles
- labelled rows, 20 % faulty, 30 labels: accuracy on the test questions, of a classifier that learns from the same rows,
  since a user has no better ones; the untrained encoder beside it

Scores are kept by seed in results/.repair.json, so that an interrupted run resumes. A training takes two to
four minutes on a core, and there are 30.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from scipy.stats import binomtest
from transformers import set_seed

import nearfar
from _scifact import Rows, claims
from claims._data import table
from nearfar.evaluation.intervals import paired_difference
from nearfar.evaluation.result import Result
from nearfar.inspection.repair import RepairOptions, changes_file, repair
from nearfar.inspection.repair.judging import model_judge
from nearfar.kinds.loading import of
from nearfar.models import load
from nearfar.recipes import infonce
from nearfar.training.stages import train_plan
from nearfar.writing import write_text

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / ".repair.json"
SHARES = (0.05, 0.1, 0.2)
#: Among how many labels wrong ones are looked for, with how many rows each.
DETECTED_AT = ((10, 60), (30, 40))
#: What is trained on: part of faulty rows, and of the labelled ones how many labels, with how many rows.
PAIRS_AT, LABELLED_AT, TRAINED_LABELS, TRAINED_PER_LABEL = 0.1, 0.2, 30, 40
ARMS = ("clean", "faulty", "repaired")
PAIR_FAULTS = ("duplicates", "wrong_positives", "false_negatives")


def with_negatives(rows: Rows, rng: np.random.Generator) -> Rows:
    titles = sorted({row["positive"] for row in rows})
    of: dict[str, set[str]] = {}
    for row in rows:
        of.setdefault(row["anchor"], set()).add(row["positive"])
    found = []
    for row in rows:
        others = [titles[each] for each in rng.integers(len(titles), size=8)]
        found.append({**row, "negative": next(title for title in others if title not in of[row["anchor"]])})
    return found


def faulty_pairs(
    rows: Rows, share: float, first: dict[str, str], rng: np.random.Generator
) -> tuple[Rows, dict[int, str]]:
    """Rows with faults, and the fault of each planted row."""
    chosen = rng.permutation(len(rows))[: round(share * len(rows))].tolist()
    found, planted = [dict(row) for row in rows], {}
    for number, row in enumerate(chosen):
        fault = PAIR_FAULTS[number % 3]
        if fault == "duplicates":
            planted[len(found)] = fault
            found.append({name: text.upper() for name, text in rows[row].items()})
            continue
        planted[row] = fault
        if fault == "wrong_positives":
            found[row]["positive"] = rows[int(rng.integers(len(rows)))]["positive"]
        else:
            found[row] = {**rows[row], "positive": first[rows[row]["positive"]], "negative": rows[row]["positive"]}
    return found, planted


def questions(part: str) -> Rows:
    rows = table("banking77", f"banking77-{part}.tsv.gz")
    return [{"text": row["text"], "label": row["intent"]} for row in rows]


def some_labels(number: int, rng: np.random.Generator) -> list[str]:
    names = sorted({row["label"] for row in questions("train")})
    return [names[each] for each in rng.permutation(len(names))[:number]]


def faulty_labels(
    labels: list[str], per_label: int, share: float, rng: np.random.Generator
) -> tuple[Rows, dict[int, str]]:
    """Questions of some labels, of which a share has another label."""
    rows = questions("train")
    found = [row for label in labels for row in [each for each in rows if each["label"] == label][:per_label]]
    chosen = rng.permutation(len(found))[: round(share * len(found))].tolist()
    for row in chosen:
        others = [label for label in labels if label != found[row]["label"]]
        found[row] = {**found[row], "label": others[int(rng.integers(len(others)))]}
    return found, dict.fromkeys(chosen, "wrong_labels")


def repaired(rows: Rows, encoder: Any, judge: Any) -> tuple[Rows, dict[int, set[str]]]:
    """The repaired rows, and what was found in each row."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "fixed.jsonl"
        repair(encoder, Dataset.from_list(rows), out, options=RepairOptions({"wrong_positives": "drop"}), judge=judge)
        changes = [json.loads(line) for line in changes_file(out).read_text("utf-8").splitlines()]
        fixed = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    found: dict[int, set[str]] = {}
    for change in changes:
        found.setdefault(change["row"] - 1, set()).add(change["fault"])
    return fixed, found


def counted(planted: dict[int, str], found: dict[int, set[str]]) -> dict[str, list[int]]:
    """By fault: planted rows found as such, rows found as such, planted rows."""
    counts = {}
    for fault in (*PAIR_FAULTS, "wrong_labels"):
        where = {row for row, of in found.items() if fault in of}
        right = {row for row, of in planted.items() if of == fault}
        if right:
            counts[fault] = [len(where & right), len(where), len(right)]
    # What is done to a row is right whatever it is called, if there is a fault.
    counts["any fault of pairs"] = [len(planted.keys() & found.keys()), len(found), len(planted)]
    return counts


def trained(rows: Rows, seed: int, epochs: float) -> Any:
    """MiniLM after training."""
    model = load("minilm")
    options = infonce.Options(batch_size=32, epochs=epochs, max_length=64)
    of(model).configure(options)
    with tempfile.TemporaryDirectory() as folder:
        set_seed(seed)
        train_plan(infonce.prepare(model, Dataset.from_list(rows), options), options, folder, seed)
    return model


def per_item(result: Result) -> list[float]:
    """The primary metric of each test item."""
    assert result.per_item is not None
    return result.per_item[result.primary].tolist()


def classified(model: Any, rows: Rows) -> list[float]:
    """Whether each test question of the rows' labels is classified correctly by what is learned from the rows."""
    names = {row["label"] for row in rows}
    test = [row for row in questions("test") if row["label"] in names]
    return per_item(nearfar.evaluate(model, Dataset.from_list(test), train=Dataset.from_list(rows)))


def compared(scores: dict[str, list[list[float]]]) -> dict[str, Any]:
    """The mean of each arm, and each minus the clean one with its interval over test items, the mean of the seeds."""
    arms = {arm: np.mean(of, axis=0) for arm, of in scores.items()}
    return {
        "seeds": len(scores["clean"]),
        "means": {arm: float(values.mean()) for arm, values in arms.items()},
        "minus_clean": {
            arm: list(paired_difference(arms["clean"], values)) for arm, values in arms.items() if arm != "clean"
        },
    }


def figure(right: int, of: int) -> dict[str, Any]:
    """A share with Wilson's interval."""
    if not of:
        return {"share": None, "of": 0}
    interval = binomtest(right, of).proportion_ci(method="wilson")
    return {"share": right / of, "interval_95": [interval.low, interval.high], "of": of}


def kept(key: str, make: Callable[[], Any]) -> Any:
    """A figure of an earlier run, or a new one."""
    figures = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    if key not in figures:
        figures[key] = make()
        print(key, flush=True)
        write_text(json.dumps(figures), KEPT)
    return figures[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--label-seeds", type=int, help="Seeds of training on labelled rows; by default as --seeds.")
    parser.add_argument("--judge")
    parser.add_argument("--detection", action="store_true", help="Only precision and recall, without training.")
    arguments = parser.parse_args()
    encoder = load("minilm")
    judge = model_judge(arguments.judge) if arguments.judge else None
    pairs, test, first = claims()
    labels = some_labels(TRAINED_LABELS, np.random.default_rng(0))
    few = arguments.label_seeds or arguments.seeds
    named = f"minilm, {arguments.judge or 'no judge'}"

    def detection(share: float, seed: int) -> dict[str, list[int]]:
        rng = np.random.default_rng(seed)
        rows, planted = faulty_pairs(with_negatives(pairs, rng), share, first, rng)
        return counted(planted, repaired(rows, encoder, judge)[1])

    def detection_of_labels(number: int, per_label: int, share: float, seed: int) -> list[int]:
        rng = np.random.default_rng(seed)
        rows, planted = faulty_labels(some_labels(number, rng), per_label, share, rng)
        return counted(planted, repaired(rows, encoder, judge)[1])["wrong_labels"]

    def pairs_of(arm: str, seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        rows = with_negatives(pairs, rng)
        if arm != "clean":
            rows, _ = faulty_pairs(rows, PAIRS_AT, first, rng)
        if arm == "repaired":
            rows, _ = repaired(rows, encoder, judge)
        return per_item(nearfar.evaluate(trained(rows, seed, epochs=1), test))

    def labels_of(arm: str, seed: int, untrained: bool = False) -> list[float]:
        share = 0 if arm == "clean" else LABELLED_AT
        rows, _ = faulty_labels(labels, TRAINED_PER_LABEL, share, np.random.default_rng(seed))
        if arm == "repaired":
            rows, _ = repaired(rows, encoder, judge)
        return classified(encoder if untrained else trained(rows, seed, epochs=3), rows)

    def over_seeds(name: str, scores: Callable[[str, int], list[float]], seeds: int) -> dict[str, list[list[float]]]:
        """Scores of each arm, by seed."""
        return {
            arm: [kept(f"{named}: {name}{arm} {seed}", partial(scores, arm, seed)) for seed in range(seeds)]
            for arm in ARMS
        }

    detected: dict[str, dict[str, Any]] = {}
    for share in SHARES:
        total: dict[str, np.ndarray] = {}
        for seed in range(arguments.seeds):
            counts = dict(kept(f"{named}: {share} {seed}", partial(detection, share, seed)))
            for number, per_label in DETECTED_AT:
                count = partial(detection_of_labels, number, per_label, share, seed)
                counts[f"wrong labels of {number}"] = kept(f"{named}: {number} labels, {share} {seed}", count)
            for name, each in counts.items():
                total[name] = total.get(name, np.zeros(3, dtype=int)) + each
        detected[f"{share:.0%}"] = {
            name: {"precision": figure(int(right), int(found)), "recall": figure(int(right), int(planted))}
            for name, (right, found, planted) in total.items()
        }
    training = {}
    if not arguments.detection:
        training = {
            "pairs, 10% faulty, nDCG@10": compared(over_seeds("", pairs_of, arguments.seeds)),
            "labels, 20% faulty, accuracy, not trained": compared(
                over_seeds("labels, not trained, ", partial(labels_of, untrained=True), few)
            ),
            "labels, 20% faulty, accuracy": compared(over_seeds("labels, ", labels_of, few)),
        }
    result = {
        "encoder": "minilm",
        "judge": arguments.judge,
        "seeds": arguments.seeds,
        "detected": detected,
        "trained": training,
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
    }
    write_text(json.dumps(result, indent=1) + "\n", RESULTS / "repair.json")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
