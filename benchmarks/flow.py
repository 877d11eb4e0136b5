"""How similar are the workflows of `nearfar flow` to annotated ones? Domain by domain on the test dialogues of SGD.

    python benchmarks/flow.py [--model NAME]... [--add] [--data FOLDER] [--out FILE]

The reference is the graph of the annotated actions (acts and slots of a turn, as labelled for `dialog2flow`), pruned by
the same rules. For each domain, on the dialogues of only that domain:

- cluster agreement of the turns of each speaker, mean of the two: NMI (the same as V-measure) and ARI;
- size error |n - n_ref| / n_ref of the pruned graphs, including start and end, as in the paper; the same error of the
  number of actions, and of the number of edges;
- precision and recall of the edges of the pruned graph, after mapping every cluster to the most frequent action of its
  turns (`majority`, which merges clusters of one action), or by a one-to-one assignment (`one to one`).

With the true number of actions per speaker, and with the automatic one. `shuffled` is a control: clusters of the same
sizes with random turns. Thresholds are the paper's for evaluation: max-out, edges 0.02, nodes 0.023.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from nearfar.data.actions import action_label
from nearfar.dialogue.clustering import find_actions
from nearfar.dialogue.graph import FIRST, Edge, Rules, counted, prune
from nearfar.dialogue.log import Log
from nearfar.dialogue.vectors import vectors_of
from nearfar.models import load

RULES = Rules("max-out", 0.02, 0.023)
LENGTH = 64
METRICS = (
    "actions",
    "nodes",
    "edges",
    "nmi",
    "ari",
    "actions_error",
    "size_error",
    "edges_error",
    "majority_precision",
    "majority_recall",
    "majority_f1",
    "one_to_one_precision",
    "one_to_one_recall",
    "one_to_one_f1",
)


def label(turn: dict[str, Any]) -> str:
    """The action of a turn. Dialog2Flow ignores acts about an intent only; here they are the action of their turn."""
    found = action_label(turn["acts"], turn["slots"], sort_slots=True)
    return found or ", ".join(sorted(act.lower().replace("_", " ") for act in set(turn["acts"])))


def domains(file: Path, least: int) -> dict[str, list[dict[str, Any]]]:
    """The dialogues of each domain that are about no other domain."""
    found: dict[str, list[dict[str, Any]]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for dialogue in map(json.loads, lines):
            if len(dialogue["domain"]) == 1:
                found.setdefault(dialogue["domain"][0], []).append(dialogue)
    return {name: found[name] for name in sorted(found) if len(found[name]) >= least}


class Domain:
    """The dialogues and the annotated graph of a domain."""

    def __init__(self, dialogues: list[dict[str, Any]]) -> None:
        self.dialogues = dialogues
        turns = [turn for dialogue in dialogues for turn in dialogue["turns"]]
        self.log = Log.of((d["dialogue_id"], [(t["speaker"], t["text"]) for t in d["turns"]]) for d in dialogues)
        names = [(turn["speaker"], label(turn)) for turn in turns]
        self.names = sorted(set(names))
        number = {name: index for index, name in enumerate(self.names)}
        self.truth = np.asarray([number[name] for name in names])
        self.numbers = dict(Counter(speaker for speaker, _ in self.names))
        self.reference = prune(counted(self.ways(self.truth)), RULES)

    def ways(self, turn: np.ndarray) -> Iterable[list[int]]:
        """The nodes of each dialogue."""
        return ((turn[self.log.dialogue(i)] + FIRST).tolist() for i in range(len(self.log)))

    def figures(self, turn: np.ndarray) -> dict[str, float]:
        """The metrics of a clustering."""
        found: dict[str, float] = {"actions": len(set(turn.tolist()))}
        mine = [self.log.speaker == speaker for speaker in range(len(self.log.speakers))]
        found["nmi"] = float(np.mean([normalized_mutual_info_score(self.truth[m], turn[m]) for m in mine]))
        found["ari"] = float(np.mean([adjusted_rand_score(self.truth[m], turn[m]) for m in mine]))
        graph = prune(counted(self.ways(turn)), RULES)
        found |= {"nodes": len(graph.nodes), "edges": len(graph.counts)}
        for name, number, annotated in (
            ("actions", found["actions"], len(self.names)),
            ("size", len(graph.nodes), len(self.reference.nodes)),
            ("edges", len(graph.counts), len(self.reference.counts)),
        ):
            found[f"{name}_error"] = abs(number - annotated) / annotated
        for name, mapped in (("majority", self.majority(turn)), ("one_to_one", self.one_to_one(turn))):
            edges = set(prune(counted(self.ways(mapped)), RULES).counts)
            found |= {f"{name}_{key}": value for key, value in agreement(edges, set(self.reference.counts)).items()}
        return found

    def together(self, turn: np.ndarray) -> np.ndarray:
        """Number of turns by cluster and action, (clusters, actions)."""
        table = np.zeros((int(turn.max()) + 1, len(self.names)), int)
        np.add.at(table, (turn, self.truth), 1)
        return table

    def majority(self, turn: np.ndarray) -> np.ndarray:
        """Each cluster mapped to the most frequent action of its turns."""
        return self.together(turn).argmax(1)[turn]

    def one_to_one(self, turn: np.ndarray) -> np.ndarray:
        """Each cluster mapped to an action of its own; unmatched clusters stay separate nodes."""
        table = self.together(turn)
        rows, columns = linear_sum_assignment(-table)
        action = np.arange(len(table)) + len(self.names)
        matched = table[rows, columns] > 0
        action[rows[matched]] = columns[matched]
        return action[turn]


def agreement(found: set[Edge], wanted: set[Edge]) -> dict[str, float]:
    """Precision, recall and F1 of a set of edges."""
    both = len(found & wanted)
    precision, recall = both / max(1, len(found)), both / max(1, len(wanted))
    return {"precision": precision, "recall": recall, "f1": 2 * both / max(1, len(found) + len(wanted))}


def shuffled(log: Log, turn: np.ndarray) -> np.ndarray:
    """The same clusters with the turns of each speaker permuted."""
    generator, found = np.random.default_rng(0), turn.copy()
    for speaker in range(len(log.speakers)):
        mine = np.flatnonzero(log.speaker == speaker)
        found[mine] = turn[generator.permutation(mine)]
    return found


def interval(differences: Sequence[float]) -> list[float]:
    """Mean and Student's 95% interval over domains."""
    x = np.asarray(differences)
    half = stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return [round(float(value), 4) for value in (x.mean(), x.mean() - half, x.mean() + half)]


def arms(of: Domain, vectors: np.ndarray) -> dict[str, dict[str, float]]:
    """The metrics of each way to cluster a domain."""
    found = {}
    for linkage in ("ward", "average"):
        for name, number in (("true number", of.numbers), ("automatic number", "auto")):
            turn = find_actions(of.log, vectors, number, linkage=linkage).turn.astype(np.int64)
            found[f"{linkage}, {name}"] = of.figures(turn)
            if linkage == "ward":
                found[f"shuffled, {name}"] = of.figures(shuffled(of.log, turn))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", action="append", help="NAME or LABEL=FOLDER (repeatable)")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NEARFAR_DATA", "../shared/data")))
    parser.add_argument("--least", type=int, default=20, help="minimum number of dialogues of a domain")
    parser.add_argument("--store", type=Path, help="folder for vectors, which later runs reuse")
    parser.add_argument("--add", action="store_true", help="keep the other models of --out, measured on the same data")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "flow.json")
    args = parser.parse_args()
    models = args.model or ["minilm", "actions"]
    file = args.data / "sgd" / "sgd-test.jsonl.gz"
    if not file.exists():
        sys.exit(f"{file} is missing: set NEARFAR_DATA to the folder that contains sgd/")
    tables = {name: Domain(dialogues) for name, dialogues in domains(file, args.least).items()}
    texts = sorted({text for of in tables.values() for text in of.log.texts})
    row = {text: index for index, text in enumerate(texts)}

    result: dict[str, Any] = {
        "what": "nearfar flow against the annotated actions of SGD's test split, domain by domain",
        "rules": {"weigh": RULES.weighing, "edges": RULES.edges, "nodes": RULES.nodes},
        "metrics": "nmi (= V-measure) and ari: mean of the two speakers; actions_error, size_error, edges_error: "
        "|n - n_ref| / n_ref of the actions, and of nodes and edges of the pruned graphs; edges after clusters became "
        "actions, by majority or one to one",
        "reference": {
            name: {
                "dialogues": len(of.log),
                "turns": of.log.turns,
                "actions": len(of.names),
                "nodes": len(of.reference.nodes),
                "edges": len(of.reference.counts),
            }
            for name, of in tables.items()
        },
        "models": {},
        "command": " ".join(
            [
                "python benchmarks/flow.py",
                *(f"--model {m.partition('=')[0]}=FOLDER" if "=" in m else f"--model {m}" for m in models),
            ]
        ),
        "versions": {name: version(name) for name in ("nearfar", "scikit-learn", "scipy", "sentence-transformers")},
    }
    if args.add:
        before = json.loads(args.out.read_text("utf-8"))
        if any(before[key] != result[key] for key in ("rules", "metrics", "reference", "versions")):
            sys.exit(f"{args.out} was measured on other data or with other versions: measure all models again")
        result |= {"models": before["models"], "command": f"{before['command']}, then {result['command']} --add"}
    for model in models:
        name, equals, folder = model.partition("=")
        start = time.monotonic()
        encoder = load(folder if equals else name, max_length=LENGTH)
        vectors = vectors_of(encoder, texts, store=args.store and args.store / name)
        print(f"{name}: {len(texts):,} texts in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        by_domain = {d: arms(of, vectors[[row[text] for text in of.log.texts]]) for d, of in tables.items()}
        result["models"][name] = {"trained": training_of(Path(folder)) if equals else None, **summary(by_domain)}
        for arm, of in result["models"][name]["mean"].items():
            print(f"{name:12} {arm:26}", "  ".join(f"{key} {of[key]:.3f}" for key in METRICS), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draft = args.out.with_name(f".{args.out.name}.{os.getpid()}")
    draft.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(draft, args.out)


def training_of(folder: Path) -> dict[str, Any] | None:
    """The recipe, seed and options of a model trained by `nearfar train`; None for other models."""
    run = folder.parent / "run.yaml"
    if not run.exists():
        return None
    asked = yaml.safe_load(run.read_text("utf-8"))
    return {"recipe": asked["recipe"], "seed": asked["seed"], "options": asked["options"]}


def summary(by_domain: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Means over domains, and the difference of ward and the paper's average linkage."""
    names = list(next(iter(by_domain.values())))
    mean = {arm: {key: float(np.mean([of[arm][key] for of in by_domain.values()])) for key in METRICS} for arm in names}
    gained = {
        f"{key}, {number}": interval(
            [of[f"ward, {number}"][key] - of[f"average, {number}"][key] for of in by_domain.values()]
        )
        for number in ("true number", "automatic number")
        for key in ("nmi", "ari", "size_error", "majority_f1", "one_to_one_f1")
    }
    rounded = {arm: {key: round(value, 4) for key, value in of.items()} for arm, of in mean.items()}
    domains_ = {
        d: {arm: {key: round(value, 4) for key, value in of.items()} for arm, of in found.items()}
        for d, found in by_domain.items()
    }
    return {"mean": rounded, "ward_minus_average": gained, "domains": domains_}


if __name__ == "__main__":
    main()
