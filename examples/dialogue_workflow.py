"""Dialogue logs to a workflow: what do agents and customers do, in which order, and where do calls leave the track?

    python examples/dialogue_workflow.py
    python examples/dialogue_workflow.py --data calls/ --actions 12 --out runs/calls

Writes the workflow as a page to explore (flow.html), as JSON, and as Mermaid for a wiki. The dialogues that are used by
default (data/calls.jsonl) are 80 telephone calls to a bicycle workshop, put together for this example.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from pathlib import Path

import numpy as np

import nearfar
from nearfar.dialogue import Rules

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(HERE / "data" / "calls.jsonl"), help="dialogues, or a folder of them")
    parser.add_argument("--model", default="minilm", help="an encoder; one that dialog2flow trained goes by actions")
    parser.add_argument("--actions", default="10", help="how many actions each speaker has, or auto")
    parser.add_argument("--out", type=Path, default=Path("runs/workflow"))
    args = parser.parse_args(arguments)

    # 1. The workflow. Utterances that mean the same become one action, steps from action to action are counted, and
    # rare ones are left out. Try some numbers of actions and look at the page: too few put different things into one
    # box, too many give each way of saying a thing its own. "auto" chooses by how well actions tell what comes next,
    # and on logs as short and as regular as these it chooses too many.
    number = args.actions if args.actions == "auto" else int(args.actions)
    flow = nearfar.flow(args.data, model=args.model, actions=number, rules=Rules(edges=0.1, nodes=0.02))
    print(f"{len(flow.log):,} dialogues, {flow.log.turns:,} turns, {len(flow.actions):,} actions\n")

    # 2. The usual way through a call. Node numbers are those of the graph: 0 is the start, 1 the end.
    def name(node: int) -> str:
        if node < 2:
            return ("start", "end")[node]
        return f"{flow.speaker_of(node)}: {flow.described[node - 2].name}"

    graph = flow.graph()
    usual = flow.happy_path(graph)
    print("The usual way")
    for node in usual:
        print(f"  {name(node)}")

    # 3. Where calls leave it. `counts` has every step, pruned or not, so nothing rare is hidden here. A step back
    # ("another day?") and an extra question look alike in the numbers: read the examples of an action before you judge.
    following = dict(itertools.pairwise(usual))
    total: Counter[int] = Counter()
    for (source, _), count in flow.counts().items():
        total[source] += count
    leaving = [
        (count, count / total[source], source, target)
        for (source, target), count in flow.counts().items()
        if source in following and target not in (source, following[source])
    ]
    print("\nWhere calls leave it")
    for count, share, source, target in sorted(leaving, reverse=True)[:5]:
        print(f"  {count:4} times, {share:4.0%} of the steps from there: {name(source)} -> {name(target)}")

    # 4. What costs time: how long calls are that take an action, beside those that do not. This is a difference, not a
    # cause: long calls have room for more actions.
    turns = np.diff(flow.log.starts)
    longer = []
    for node in range(2, 2 + len(flow.actions)):
        takes = np.array([node in flow.nodes[flow.log.dialogue(i)] for i in range(len(flow.log))])
        if 0.05 < takes.mean() < 0.95:
            longer.append((turns[takes].mean() - turns[~takes].mean(), takes.mean(), node))
    print("\nHow many turns longer calls are that take an action")
    for difference, share, node in sorted(longer, reverse=True)[:6]:
        print(f"  {difference:+5.1f}  {name(node)} ({share:.0%} of calls)")

    # 5. Formats. The page is one file that works without a network; the JSON has all of it for a program of yours.
    args.out.mkdir(parents=True, exist_ok=True)
    for ending in ("html", "json", "mmd"):
        print(f"\nwritten: {flow.write(args.out / f'flow.{ending}')}", end="")
    print()


if __name__ == "__main__":
    main()
