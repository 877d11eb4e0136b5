"""What changed between two logs, as data: for JSON, and for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfar.dialogue.change.comparing import LEVEL, Change, Rate
from nearfar.dialogue.graph import END, FIRST, START
from nearfar.reports.text import plain

if TYPE_CHECKING:
    from nearfar.dialogue.result import Flow


def change_as_dict(flow: Flow, change: Change) -> dict[str, Any]:
    """The comparison as JSON types: all rates, those that changed first.

    `p` is adjusted for all rates of the comparison, and null for rates that are too rare to test.
    """
    actions = [_rate(flow, rate) for rate in change.rates if rate.target is None]
    steps = [_rate(flow, rate) for rate in change.rates if rate.target is not None]
    return {
        "before": {"source": plain(change.names[0]), **_size(change.before)},
        "after": {"source": plain(change.names[1]), "dialogues": len(flow.log), "turns": flow.log.turns},
        "method": change.method,
        "level": LEVEL,
        "tested": sum(rate.p is not None for rate in change.rates),
        "new_actions": sorted(change.added),
        "actions": actions,
        "steps": steps,
    }


def _size(side: Any) -> dict[str, int]:
    return {"dialogues": len(side.log), "turns": side.log.turns}


def _rate(flow: Flow, rate: Rate) -> dict[str, Any]:
    where = {"source": rate.node, "target": rate.target} if rate.target is not None else {"id": rate.node}
    named = {name: _name(flow, node) for name, node in where.items()}
    if rate.target is None:
        named = {"name": named["id"]}
    else:
        named = {"source_name": named["source"], "target_name": named["target"]}
    return {
        **where,
        **named,
        "kind": rate.kind,
        "counts": list(rate.counts),
        "before": rate.before,
        "after": rate.after,
        "difference": rate.difference,
        "interval": None if rate.low is None else [rate.low, rate.high],
        "p": rate.p,
    }


def _name(flow: Flow, node: int) -> str:
    if node < FIRST:
        return {START: "[start]", END: "[end]"}[node]
    return f"{flow.speaker_of(node)}: {flow.described[node - FIRST].name}"
