"""Rows of several domains, with the domain encoded in the label, where a loss can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.data.labels import with_integer_labels

if TYPE_CHECKING:
    from datasets import Dataset


def with_domain_labels(rows: Dataset) -> tuple[Dataset, list[str]]:
    """The same rows with an integer `label` in place of `domain`, and the N domains in alphabetical order.

    `label % N` is the domain. For pairs all labels are different, so that a sampler without duplicates may put rows of
    one domain into a batch; for labelled texts they are equal if label and domain are.

    Raises:
        InputError: Fewer than two labels have two or more texts.
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
