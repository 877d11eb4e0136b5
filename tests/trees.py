"""The trees of the worked examples."""

from __future__ import annotations

from nearfar.data.trees import Tree


def nested(tree: dict[str, dict[str, dict[str, list[str]]]]) -> Tree:
    """From {domain: {act: {slot: values}}}."""
    return frozenset(
        (domain, act, slot, *value)
        for domain, acts in tree.items()
        for act, slots in acts.items()
        for slot, values in slots.items()
        for value in ([(each,) for each in values] or [()])
    )


A = nested({"hotel": {"inform": {"area": ["north"], "stars": ["4"]}}})
B = nested({"hotel": {"inform": {"area": ["north"]}, "request": {"price": []}}})
C = nested({"taxi": {"inform": {"area": ["north"]}}})
D = nested({"hotel": {"inform": {"area": ["south"], "stars": ["4"]}}})
