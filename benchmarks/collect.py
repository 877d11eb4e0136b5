"""Generate everything that follows from the result files: docs/evidence.md, docs/speed.md, the tables of
docs/index.md, of docs/promises.md and of the README, and the verdicts that `nearfar recipes` shows.

    python benchmarks/collect.py [--check]

With --check nothing is written, and the exit code is 1 if something would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from _promises import faults_table
from _speed_page import speed_page
from _which_page import which_table
from nearfar import recipes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
EVIDENCE = ROOT / "docs" / "evidence.md"
SPEED = ROOT / "docs" / "speed.md"
INDEX = ROOT / "docs" / "index.md"
PROMISES = ROOT / "docs" / "promises.md"
README = ROOT / "README.md"
VERDICTS = ROOT / "src" / "nearfar" / "recipes" / "verdicts.json"
BEGIN, END = "<!-- {0}, written by benchmarks/collect.py -->", "<!-- end of {0} -->"


def claims() -> list[dict[str, Any]]:
    """The results of all claims, by recipe."""
    found = (json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json")))
    return [result for result in found if "verdict" in result]


def speeds() -> dict[str, dict[str, Any]]:
    """The results of all speed benchmarks, by file name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("speed-*.json"))}


#: Seeds of a claim; metrics with fewer say so.
MIN_SEEDS = 5


def read(name: str) -> dict[str, Any]:
    """One result, by its file's name."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def line(result: dict[str, Any]) -> str:
    """The verdict, the difference and its interval."""
    low, high = result["interval_95"]
    ours, baseline = result["compared"]
    # Additional metrics have a difference, but no verdict.
    verdict = f"{result['verdict']}: " if "verdict" in result else ""
    few = f" ({result['seeds']} seeds)" if result.get("seeds", MIN_SEEDS) < MIN_SEEDS else ""
    change = f"{result['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"{verdict}{ours} minus {baseline} {change} {result['metric']}{few}"


def evidence(results: list[dict[str, Any]], flow: dict[str, Any]) -> str:
    """The page: all claims, and the measurements of `nearfar flow`."""
    parts = [
        "# Evidence",
        "The claim of each recipe's paper, tested against the paper's own baseline with the same data, backbone and "
        "budget; differences are paired by seed. *Reproduced*: the 95% interval of the difference is above 0. *Same "
        "direction*: the difference is positive, but its interval includes 0. `benchmarks/collect.py` generates this "
        "page from `benchmarks/results/`.",
    ]
    for result in results:
        parts += [
            f"## {result.get('name', result['recipe'])}",
            f"{result['claim']}",
            *compared(result),
            *(part for further in result.get("also", ()) for part in compared(further)),
            "\n".join(f"- {key}: {result[key]}" for key in ("data", "backbone", "budget")),
            *([f"Caveat: {result['caveat']}"] if result["caveat"] else []),
            f"`{result['command']}`" + (f" ({result['minutes']:.0f} minutes)" if "minutes" in result else ""),
        ]
    return "\n\n".join([*parts, *flow_measured(flow)]) + "\n"


def flow_measured(flow: dict[str, Any]) -> list[str]:
    """How similar the graphs of `nearfar flow` are to annotated ones; not a claim of a paper, so without verdict."""
    measures = ("actions", "nmi", "ari", "majority_f1", "one_to_one_f1")
    lines = [f"| model | clusters | {' | '.join(measures)} |", f"| --- | --- |{' --- |' * len(measures)}"]
    for model, of in flow["models"].items():
        for clusters, mean in of["mean"].items():
            lines.append(f"| {model} | {clusters} | {' | '.join(f'{mean[name]:.3f}' for name in measures)} |")
    how = f"{flow['what']}: means over {len(flow['reference'])} domains. {flow['metrics']}."
    return ["## nearfar flow", how, "\n".join(lines), f"`{flow['command']}`"]


def compared(result: dict[str, Any]) -> list[str]:
    """One metric: the result, and the scores of each arm."""
    rows = [
        f"| {name} | {sum(of.values()) / len(of):.4f} | {', '.join(f'{of[s]:.4f}' for s in sorted(of, key=int))} |"
        for name, of in result["figures"].items()
    ]
    heads = [f"| arm | mean {result['metric']} | each seed |", "| --- | --- | --- |"]
    return [f"**{line(result)}**", "\n".join([*heads, *rows])]


def verdicts(results: list[dict[str, Any]]) -> dict[str, str]:
    """One line for each recipe; that of a recipe with several claims has all of them."""
    found: dict[str, list[str]] = {}
    for result in results:
        found.setdefault(result["recipe"], []).append(line(result))
    return {recipe: "; ".join(lines) for recipe, lines in found.items()}


def table(results: list[dict[str, Any]]) -> str:
    """The table of recipes for the README."""
    known = verdicts(results)
    rows = ["| recipe | what it does | needs | paper | evidence |", "| --- | --- | --- | --- | --- |"]
    for name in recipes.names():
        recipe = recipes.get(name)
        authors, several, _ = recipe.paper.authors.partition(",")
        paper = f"[{authors}{' et al.' if several else ''} {recipe.paper.year}]({recipe.paper.url})"
        cells = (f"`{name}`", recipe.summary, recipe.task, paper, known.get(name, "none yet"))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def between_marks(file: Path, name: str, inner: str) -> str:
    """A file's text with `inner` in the place of what stands between the two marks of that name."""
    begin, finish = BEGIN.format(name), END.format(name)
    before, mark, rest = file.read_text("utf-8").partition(begin)
    _, end, after = rest.partition(finish)
    if not mark or not end:
        sys.exit(f"{file.name} has lost its marks {begin} and {finish}")
    return f"{before}{begin}\n\n{inner}\n\n{finish}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if something would change")
    check = parser.parse_args().check
    results = claims()
    wanted = {
        README: between_marks(README, "recipes", table(results)),
        EVIDENCE: evidence(results, read("flow")),
        INDEX: between_marks(INDEX, "which", which_table(read("which"))),
        PROMISES: between_marks(PROMISES, "faults", faults_table(read("faults"))),
        SPEED: speed_page(speeds()),
        VERDICTS: json.dumps(verdicts(results), indent=1) + "\n",
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], "utf-8")
    sys.exit(1 if stale and check else 0)


if __name__ == "__main__":
    main()
