"""Pages like those that commands write, and hostile texts. Run it to write the pages to a folder."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

from nearfar.reports import Estimate, Page, bar_chart, dot_interval_chart, flat_map, heatmap, histogram, line_chart

HOSTILE = "</script></style></title><img src=x onerror=alert(1)><script>alert(2)</script>\"'` & {{ 7*7 }} <!-- \u2028"


def compare_page() -> Page:
    """A page as a comparison of methods writes it, with every kind of block and figure."""
    rng = random.Random(0)
    page = Page(
        "Which objective fits support-tickets.jsonl?",
        subtitle="Five recipes fine-tuned from one model on the same pairs, measured on queries held out.",
        facts=[
            ("model", "minilm"),
            ("training pairs", "9,412"),
            ("evaluation", "STS and retrieval, 3 sets"),
            ("seeds", "5"),
            ("batch size", 64),
            ("learning rate", "2e-5"),
            ("time", "14 min on 2 cores"),
        ],
    )
    page.verdict(
        "Retrieval improved: nDCG@10 0.412 → 0.538 (+0.126, 95% interval +0.101 to +0.150)",
        tone="good",
    )
    page.section(
        "Before and after",
        text="Each dot is the mean over five seeds; whiskers are paired bootstrap intervals over queries.",
    )
    page.figure(
        dot_interval_chart(
            ["Tickets, held out", "STS-B test", "Product questions, English and German (translated)", "FAQ"],
            {
                "before": [(0.412, 0.391, 0.433), (0.781, 0.768, 0.793), (0.502, 0.466, 0.538), None],
                "after": [(0.538, 0.517, 0.559), (0.779, 0.765, 0.791), (0.571, 0.534, 0.607), (0.66, 0.63, 0.69)],
            },
            title="Retrieval improves, similarity stays",
            caption="Higher is better.",
            x_label="nDCG@10, for STS-B Spearman's rho",
        )
    )
    page.figure(
        dot_interval_chart(
            ["infonce", "debcse", "cwcl", "matryoshka_2d", "dse"],
            {
                "difference": [
                    Estimate(0.126, 0.101, 0.150),
                    Estimate(0.118, 0.094, 0.142),
                    Estimate(0.031, -0.002, 0.063),
                    Estimate(-0.012, -0.04, 0.016),
                    Estimate(-0.055, -0.081, -0.03),
                ]
            },
            title="Difference from the base model, by recipe",
            x_label="difference in nDCG@10",
            reference=0.0,
        )
    )
    page.section("Training")
    train = [(s, 2.4 * math.exp(-s / 180) + 0.35 + rng.gauss(0, 0.08)) for s in range(1, 1201)]
    page.figure(
        line_chart(
            {
                "training": train,
                "held out": [(s, 2.1 * math.exp(-s / 200) + 0.52) for s in range(100, 1201, 100)],
            },
            title="Loss falls and stays down on held-out pairs",
            y_label="InfoNCE loss in nats",
        )
    )
    page.figure(
        line_chart(
            {f"seed {k}": [(e, 10 ** (-1.0 - e / 2 + rng.gauss(0, 0.1))) for e in range(6)] for k in range(8)},
            title="Gradient norm of the projection",
            x_label="epoch",
            y_label="gradient norm (logarithmic)",
            log_y=True,
        )
    )
    page.section("The space")
    page.figure(
        histogram(
            {
                "random pairs": [rng.gauss(0.08, 0.11) for _ in range(4000)],
                "positive pairs": [min(1.0, rng.gauss(0.71, 0.13)) for _ in range(900)],
            },
            title="Positive pairs stand apart from random ones",
            x_label="cosine similarity",
        )
    )
    page.figure(
        bar_chart(
            ["tower forward", "loss and its gradients", "tower backward", "optimizer", "data loading"],
            {"dense": [412.0, 143.0, 801.0, 38.5, 12.1], "streaming": [411.0, 107.0, 803.0, 38.1, 12.0]},
            title="Where a step spends its time",
            x_label="milliseconds",
        )
    )
    groups = {"billing": (0, 0), "login": (2.5, 1.2), "delivery": (-1, 2.2)}
    page.figure(
        flat_map(
            {
                name: [(rng.gauss(x, 0.6), rng.gauss(y, 0.5), f"ticket {i} about {name}") for i in range(80)]
                for name, (x, y) in groups.items()
            },
            title="Tickets in the first two principal components",
        )
    )
    names = ["billing", "login", "delivery", "returns", "other"]
    page.figure(
        heatmap(
            names,
            names,
            [[1.0 if i == j else 0.6 * math.sin(3 * i + 3 * j) for j in range(5)] for i in range(5)],
            title="Mean similarity between intents",
        )
    )
    page.section("All figures")
    page.table(
        ["recipe", "nDCG@10", "difference", "seeds", "better than baseline"],
        [
            ["infonce", 0.538, 0.126, 5, True],
            ["debcse", 0.53, 0.118, 5, True],
            ["cwcl", 0.443, 0.031, 5, None],
            ["dse", 0.357, -0.055, 4, False],
        ],
        caption="Means over seeds.",
        highlight=[0],
    )
    page.section("Run it again", text="The same command gives the same figures.\n\nThe model loads by its folder.")
    page.code("nearfar compare infonce debcse cwcl dse --data support-tickets.jsonl --eval tickets-beir/ --seed 0")
    page.data("results", {"ndcg@10": 0.538})
    return page


def hostile_page() -> Page:
    """A page all of whose texts attack it."""
    page = Page(HOSTILE, subtitle=HOSTILE, facts=[(HOSTILE, HOSTILE)])
    page.verdict(HOSTILE, tone="bad")
    page.section(HOSTILE, text=HOSTILE)
    labels = {"title": HOSTILE, "caption": HOSTILE, "x_label": HOSTILE}
    page.figure(line_chart({HOSTILE: [(0, 1), (1, 2)], "b": [(0, 1)]}, y_label=HOSTILE, **labels))
    page.figure(dot_interval_chart([HOSTILE], {HOSTILE: [(1, 0, 2)], "b": [None]}, interval=HOSTILE, **labels))
    page.figure(histogram({HOSTILE: [1, 2], "b": [1]}, y_label=HOSTILE, **labels))
    page.figure(bar_chart([HOSTILE], {HOSTILE: [1], "b": [2]}, **labels))
    page.figure(flat_map({HOSTILE: [(0, 1, HOSTILE)], "b": [(1, 1, "=1+1")]}, title=HOSTILE, caption=HOSTILE))
    page.figure(heatmap([HOSTILE], [HOSTILE], [[1]], title=HOSTILE, caption=HOSTILE))
    page.table([HOSTILE], [[HOSTILE]], caption=HOSTILE)
    page.code(HOSTILE)
    page.data("d", {HOSTILE: HOSTILE})
    return page


def odd_page() -> Page:
    """Edge cases: single points, constants, zeros, extremes, many series, long names, other scripts."""
    page = Page("Edges", facts=[("a fact with a value that has no spaces at all", "x" * 90)])
    page.figure(line_chart({"one": [(500, 0.25)]}, title="A single point", y_label="loss"))
    page.figure(line_chart({"flat": [(s, 0.5) for s in range(30)]}, title="A constant"))
    page.figure(line_chart({"zero": [(0, 0.0), (1, 0.0)]}, title="Zeros"))
    page.figure(line_chart({"rate": [(s, 2e-5 * s) for s in range(2)]}, title="Small", y_label="learning rate"))
    large = [(s * 10_000, s * 1e9) for s in range(101)]
    page.figure(line_chart({"tokens": large}, title="Large", x_label="step", y_label="tokens"))
    page.figure(line_chart({"l": [(0, 1.2), (5, 1.9)]}, title="Log, narrow", log_y=True))
    page.figure(line_chart({"l": [(0, 1e-9), (5, 1e9)]}, title="Log, wide", log_y=True))
    page.figure(line_chart({"l": [(0, 3.0)]}, title="Log, single", log_y=True))
    many = {f"recipe number {k}": [(x, x * (k + 1)) for x in range(5)] for k in range(24)}
    page.figure(line_chart(many, title="Many series"))
    page.figure(line_chart({"l": [(1000.0, 1), (1000.001, -1)]}, title="Long tick labels", x_label="seconds"))
    page.figure(histogram({"same": [0.3] * 9}, title="One value"))
    page.figure(histogram({"a": [-1.0, 1.0], "b": [0.0] * 5}, title="Few values", x_label="cosine similarity"))
    page.figure(bar_chart(["zero"], {"n": [0]}, title="A zero bar"))
    page.figure(bar_chart(["up", "down"], {"n": [12_345_678, -9_876_543]}, title="Signs", x_label="items"))
    long = "A name that goes on and on until it fills more than the two lines that it has, and then some"
    page.figure(dot_interval_chart([long, "検索タスク", "بحث", "x" * 80], {"n": [(1, 1, 1)] * 4}, title="Names"))
    page.figure(dot_interval_chart(["a", "b"], {"n": [Estimate(0.9), Estimate(0.1)]}, title="No intervals"))
    page.figure(flat_map({"one": [(0, 0, "origin")]}, title="One dot"))
    wide = [[(i - j) / 30 for j in range(30)] for i in range(4)]
    page.figure(heatmap(list("abcd"), [f"layer {j}" for j in range(30)], wide, title="Many columns"))
    page.figure(heatmap(["r"], ["c"], [[0.0]], title="One cell of zero"))
    page.table(["name", "value"], [[long * 3, 1e-9], ["NaN", float("nan")], ["none", None], ["big", 1e12]])
    page.table(["only heads"], [])
    page.code("x" * 300)
    return page


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, build in {"compare": compare_page, "hostile": hostile_page, "odd": odd_page}.items():
        print(build().write(folder / f"{name}.html"))
