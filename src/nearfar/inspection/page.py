"""The page of an inspection: figures of the space, rows to read, and a map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data.places import place_name
from nearfar.inspection.measures import MEASURES
from nearfar.inspection.page_figures import TIP, cut, map_figures, size_figures, spectrum_figure
from nearfar.inspection.page_views import add_views
from nearfar.inspection.summary import candidates, counted, figure, measure_rows, verdict
from nearfar.models.prompts import quoted
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.charts.histogram import histogram
from nearfar.reports.page import Page

if TYPE_CHECKING:
    from nearfar.inspection.records import Item
    from nearfar.inspection.result import Inspection

#: Maximum number of rows of a list on the page; the JSON has more.
ROWS = 15
#: Characters of a text in a table.
CUT = 110

_PAIRED = (
    "A false-negative candidate is a non-matching item that a model ranks above a row's positive. It is a likely false "
    "negative if the data say that it matches (it repeats the row, a positive of the row, or a positive of a row with "
    "the same text; or it has the row's label), or if both models agree, where there are two. All others are one "
    "model's opinion, and the model may be wrong: read them. If an item does match, training on it as a negative "
    "teaches an error. Likely ones come first, then the most similar."
)
_LABELLED = (
    "Labels are confused where a row is closer to a row of another label than to any row of its own. The labels say "
    "that the two differ, so they are negatives: a model that is to tell them apart must learn them. Only rows with "
    "the same text and different labels contradict each other."
)

#: Inspections by a short, unique name of their model.
ByModel = dict[str, "Inspection"]


def inspection_page(found: Inspection, facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The report of `nearfar.inspect`.

    Args:
        found: The inspection.
        facts: Further entries for the head of the page, after the model and the rows.
    """
    models = _by_model(found)
    page = Page("Inspection", " against ".join(models), [*_facts(found), *facts])
    page.verdict(verdict(found))
    _notes(page, models)
    _measures(page, found, models)
    if found.views is not None:
        add_views(page, found.views, *models)
    _similarities(page, models)
    page.section("Rows to read", _LABELLED if found.measures["confused_share"] is not None else _PAIRED)
    for name, each in models.items():
        by = "" if len(models) == 1 else f", by {name}"
        _false_negatives(page, each, by)
        _confusions(page, each, by)
        _near_duplicates(page, each, by)
    _repeats(page, found)
    for name, each in models.items():
        by = "" if len(models) == 1 else f", by {name}"
        page.table(
            ["times", "item"],
            [[hub.occurrence, _described(hub.item)] for hub in each.hubs],
            caption=f"Hubs: number of items that have this item among their ten nearest{by}.",
        )
    _map(page, models)
    _spectrum(page, models)
    _gap(page, models)
    _sizes(page, models)
    page.data("measures", {name: each.measures for name, each in models.items()})
    return page


def _by_model(found: Inspection) -> ByModel:
    models = {_short(found.model): found}
    if found.against is not None:
        name = _short(found.against.model)
        models[name if name not in models else f"{name} (2)"] = found.against
    return models


def _short(model: str) -> str:
    """The name of a run for its model; the last part of any other path."""
    parts = [part for part in Path(model).parts if part not in ("model", "/")]
    return parts[-1] if parts else model


def _facts(found: Inspection) -> list[tuple[str, object]]:
    items = ", ".join(f"{count:,} {name}" for name, count in found.items.items())
    rows = f"{found.looked_at:,} of {found.total:,}" if found.sampled else f"{found.total:,}"
    models: list[tuple[str, object]] = []
    for label, each in (("model", found), ("against", found.against)):
        if each is not None:
            models.append((label, each.model))
            models += [(f"prompts of {label}", quoted(each.prompts))] if each.prompts else []
    return [*models, ("schema", found.schema), ("rows", rows), ("different items", items), ("seed", found.seed)]


def _notes(page: Page, models: ByModel) -> None:
    """Each note once; with the model's name where it does not hold for all."""
    counts = Counter(note for each in models.values() for note in each.notes)
    written: set[str] = set()
    for name, each in models.items():
        for note in each.notes:
            if counts[note] < len(models):
                page.text(f"{name}: {note}.")
            elif note not in written:
                written.add(note)
                page.text(f"{note[:1].upper()}{note[1:]}.")


def _measures(page: Page, found: Inspection, models: ByModel) -> None:
    page.section("Measures")
    if found.against is None:
        page.table(["measure", "value", "meaning"], measure_rows(found))
        return
    page.text(
        "Differences are the second model minus the first. There is a paired 95% interval over items where the measure "
        "is a mean or a correlation over items; the other measures describe the whole set, which cannot be resampled "
        "by item."
    )
    first, second = models
    page.table(["measure", first, second, "difference", "meaning"], measure_rows(found))
    shown = [key for key in MEASURES if key in found.differences]
    if shown:
        page.figure(
            dot_interval_chart(
                [MEASURES[key].name for key in shown],
                {"difference": [Estimate(*found.differences[key]) for key in shown]},
                title=f"{second} minus {first}",
                caption="An interval that contains 0 shows no significant difference.",
                reference=0.0,
            )
        )


def _similarities(page: Page, models: ByModel) -> None:
    page.section(
        "Similarities",
        "Cosines of pairs that match and of pairs that do not. The less the two overlap, the fewer errors a search "
        "makes.",
    )
    for name, each in models.items():
        if each.similarities:
            title = "Cosines" if len(models) == 1 else f"Cosines: {name}"
            page.figure(histogram(each.similarities, title=title, x_label="cosine"))


def _false_negatives(page: Page, found: Inspection, by: str) -> None:
    listed = found.false_negatives[:ROWS]
    if listed:
        page.table(
            ["row", "positive", "negative ranked above it", "likely"],
            [
                [
                    _described(each.item),
                    f"{each.positive_cosine:.3f}  {_described(each.positive)}",
                    f"{each.negative_cosine:.3f}  {_described(each.negative)}",
                    each.why,
                ]
                for each in listed
            ],
            caption=f"False-negative candidates{by}, with cosines: {_of(len(listed), found.false_negative_rows)} rows "
            f"({candidates(found)}).",
        )
    elif found.measures["false_negative_share"] is not None:
        page.text(f"No false-negative candidates{by}.")


def _confusions(page: Page, found: Inspection, by: str) -> None:
    pairs = found.confusions[:ROWS]
    if pairs:
        page.table(
            ["labels", "rows", "row, and its closest of its own label", "closer row of the other label"],
            [
                [
                    " / ".join(cut(label, TIP) for label in each.labels).replace("_", "_\u200b") if first else "",
                    f"{each.rows:,} of {each.of:,}" if first else "",
                    f"{example.own_cosine:.3f}  {_described(example.item)}",
                    f"{example.cosine:.3f}  {_described(example.other)}",
                ]
                for each in pairs
                for first, example in zip((True, False, False), each.examples, strict=False)
            ],
            caption=f"Confused labels{by}, with cosines: {_of(len(pairs), len(found.confusions))} pairs of labels, "
            f"{found.confused_rows:,} rows.",
        )
    elif found.measures["confused_share"] is not None:
        page.text(f"No row is closer to a row of another label than to all of its own{by}.")


def _near_duplicates(page: Page, found: Inspection, by: str) -> None:
    pairs = found.near_duplicates[:ROWS]
    if not pairs:
        page.text(f"No near-duplicates with a cosine of {found.threshold:g} or more{by}.")
        return
    page.table(
        ["cosine", "row", "other row"],
        [[f"{each.cosine:.3f}", _described(each.first), _described(each.second)] for each in pairs],
        caption=f"Near-duplicates{by}: {_of(len(pairs), found.near_duplicate_count)} pairs.",
    )


def _repeats(page: Page, found: Inspection) -> None:
    rows = found.repeats[:ROWS]
    if not rows:
        page.text("No row repeats the texts of an earlier row.")
        return
    page.table(
        ["row", "repeats", "another label or score"],
        [[place_name(each.row), place_name(each.earlier), each.contradicts] for each in rows],
        caption=f"Rows with the texts of an earlier row: {_of(len(rows), found.repeated)}, "
        f"{found.contradictions:,} of them with another label or score.",
    )


def _map(page: Page, models: ByModel) -> None:
    method = next(iter(models.values())).map
    what = {
        "pca": "The two directions of largest variance",
        "tsne": "t-SNE: distances between groups have no meaning",
    }[method]
    page.section("Map", f"{what}. Point at a dot to read its text.")
    for each in map_figures(models):
        page.figure(each)


def _spectrum(page: Page, models: ByModel) -> None:
    spectrum = spectrum_figure(models)
    if spectrum is None:
        return
    page.section(
        "Spectrum",
        "The share of the variance that the first principal components explain together. A line that rises steeply "
        "shows a space that uses few of its directions.",
    )
    page.figure(spectrum)


def _gap(page: Page, models: ByModel) -> None:
    gaps = {name: each.gap for name, each in models.items() if each.gap is not None}
    if not gaps:
        return
    sides = list(next(iter(models.values())).items)
    page.section(
        "Gap between the sides",
        f"a is {sides[0]}, b is {sides[-1]}. Linear separability is the accuracy of a linear classifier of the side: "
        "0.5 is chance, 1 a complete gap.",
    )
    names = list(next(iter(gaps.values())))
    page.table(
        ["measure", *gaps],
        [[name.replace("_", " "), *(figure(of[name]) for of in gaps.values())] for name in names],
    )


def _sizes(page: Page, models: ByModel) -> None:
    rows = next(iter(models.values())).size_rows
    what = {
        "layers": ("By layer", "the model truncated after each layer, with its pooling and what follows it"),
        "dims": ("By dimension", "prefixes of the vectors, rescaled to length 1"),
    }
    for axis, figures in size_figures(models).items():
        title, description = what[axis]
        page.section(title, f"Measured on {counted(rows, 'row')}: {description}.")
        for each in figures:
            page.figure(each)


def _described(item: Item) -> str:
    """Place, text and label of an item. A long label may be broken at underscores, for narrow screens."""
    label = "" if item.label is None else f"  [{cut(item.label, TIP)}]".replace("_", "_\u200b")
    return f"{item.name}: {cut(item.text, CUT)}{label}"


def _of(shown: int, total: int) -> str:
    return f"{total:,}" if shown == total else f"{shown:,} of {total:,}"
