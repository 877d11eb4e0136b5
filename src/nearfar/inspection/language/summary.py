"""The main figures of a language model's inspection, for the terminal and the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nearfar.inspection.language.drafting import LAST, TOKENS_ONLY
from nearfar.inspection.summary import figure

if TYPE_CHECKING:
    from nearfar.inspection.language.layers import AtLayer
    from nearfar.inspection.language.result import LanguageInspection
    from nearfar.reports.tables import Cell


def verdict(found: LanguageInspection) -> str:
    """One sentence on the laws, the last state, the layers and drafting."""
    parts = [
        f"{_confidence(found)} (mean entropy {found.laws['entropy']:.2f}, NLL {found.laws['nll']:.2f})",
        f"the output depends on about {found.metric['effective_rank']:.0f} of {found.width} directions of {LAST}",
    ]
    best = best_layer(found)
    if best is not None and found.kernel is not None:
        parts.append(
            f"layer {best.layer} of {found.depth} agrees most with {kernel_owner(found)} (CKA {best.found.cka:.2f}, "
            f"at random at most {best.high.cka:.2f})"
        )
    if found.drafting is not None:
        tokens = found.drafting.tokens
        parts.append(
            f"a small drafter of {len(found.drafting.offsets)} tokens gets {tokens[LAST]:.2f} tokens per verification "
            f"from {LAST}, {tokens[TOKENS_ONLY]:.2f} without a state"
        )
    return f"{'; '.join(parts)}."


def measure_rows(found: LanguageInspection) -> list[list[Cell]]:
    """For each measure its name, value and meaning."""
    laws, metric = found.laws, found.metric
    ends = found.gap_interval
    interval = "" if ends is None else f", 95% interval [{figure(ends[0])}, {figure(ends[1])}] over pieces"
    rows: list[list[Cell]] = [
        ["NLL", figure(laws["nll"]), f"nats per token; perplexity {math.exp(min(laws['nll'], 700)):.1f}"],
        ["mean entropy", figure(laws["entropy"]), "of the next-token distributions, in nats"],
        ["stochasticity gap", figure(laws["gap"]), f"entropy minus NLL{interval}; below 0: over-confident"],
        ["collision", figure(laws["collision"]), "probability that two draws of the next token are equal"],
        [
            "metric, trace",
            figure(metric["trace"]),
            "how fast the output changes with the last state, over all directions",
        ],
        [
            "metric, effective rank",
            figure(metric["effective_rank"]),
            f"of {found.width}: directions that change the output",
        ],
        [
            "metric, participation ratio",
            figure(metric["participation_ratio"]),
            "the same, with more weight on large ones",
        ],
    ]
    best = best_layer(found)
    if best is not None:
        meaning = f"of layer {best.layer} with {kernel_owner(found)}; at random up to"
        rows.append(["highest CKA", figure(best.found.cka), f"{meaning} {figure(best.high.cka)}"])
    if found.drafting is not None:
        for each in found.drafting.offsets:
            bounds = f"nats that {LAST} knows about token {each.offset} after the next; at most {figure(each.most)}"
            rows.append([f"surplus, offset {each.offset}", figure(each.surplus[LAST]), bounds])
        tokens = found.drafting.tokens
        rows.append(
            [
                "tokens per verification",
                figure(tokens[LAST]),
                f"{len(found.drafting.offsets)} drafts from {LAST}; {figure(tokens[TOKENS_ONLY])} without a state",
            ]
        )
    return rows


def best_layer(found: LanguageInspection) -> AtLayer | None:
    """The layer with the highest CKA."""
    return max(found.layers, key=lambda each: each.found.cka, default=None)


def _confidence(found: LanguageInspection) -> str:
    gap, interval = found.laws["gap"], found.gap_interval
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "No significant difference between the entropy of the model's output and its NLL"
    how = "over-confident" if gap < 0 else "under-confident"
    return f"The model is {how} on these texts by {abs(gap):.2f} nats per token"


def kernel_owner(found: LanguageInspection) -> str:
    """Whose laws the kernel is made of, in words."""
    of = None if found.kernel is None else found.kernel.of
    return "the model's own output" if of is None else f"the output of {of}"
