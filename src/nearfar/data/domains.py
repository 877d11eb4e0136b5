"""Rows of several domains, with the domain where a loss can read it: in the label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.data.labels import with_integer_labels

if TYPE_CHECKING:
    from datasets import Dataset


def with_domain_labels(rows: Dataset) -> tuple[Dataset, list[str]]:
    """The same rows with an integer `label` in place of `domain`, and the N domains in alphabetical order.

    `label % N` is the domain. Labels are all different for pairs, whatever their domain, so that a sampler that keeps
    equal values apart does not keep domains apart; for labelled texts they are equal where label and domain are.

    Raises:
        InputError: labels of which fewer than two have two texts or more.
    """
    names = [str(name) for name in rows["domain"]]
    domains = sorted(set(names))
    number = {name: k for k, name in enumerate(domains)}
    if "label" in rows.column_names:
        joined = [f"{name}\t{label}" for name, label in zip(names, rows["label"], strict=True)]
        rows = with_integer_labels(rows.remove_columns("label").add_column("label", joined))
        classes = list(rows["label"])
        rows = rows.remove_columns("label")
    else:
        classes = list(range(len(rows)))
    labels = [label * len(domains) + number[name] for label, name in zip(classes, names, strict=True)]
    return rows.remove_columns("domain").add_column("label", labels), domains
