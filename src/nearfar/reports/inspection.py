"""The page of an inspection: the figures of a space, rows to look at, and a map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data.places import place_name
from nearfar.reports.numbers import fixed
from nearfar.reports.text import plain
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.charts.flat_map import flat_map
from nearfar.reports.charts.histogram import histogram
from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page
from nearfar.reports.tables import Cell

if TYPE_CHECKING:
    from nearfar.inspection.result import Inspection, Named, Point
    from nearfar.inspection.sizes import AtSize

#: Rows of a list on the page; all that are named stand in the JSON.
ROWS = 15
#: Dots on one page, in all of its maps.
DOTS = 3_000
#: Characters of a text in a table, and under the pointer.
CUT, TIP = 110, 100
#: Groups of a map that have a look of their own.
GROUPS = 10
#: Components of the spectrum that are drawn.
COMPONENTS = 512

Groups = dict[str, list[tuple[float, float, str]]]

#: Measures that are drawn together.
_PANELS = (
    ("positive_cosine", "negative_cosine"),
    ("tolerance",),
    ("separation", "false_negative_share", "spearman"),
    ("uniformity", "alignment"),
    ("isotropy", "iso_score"),
    ("effective_rank",),
    ("hubness",),
)


def inspection_page(found: Inspection, facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The report of `nearfar.inspect`.

    Args:
        found: What it found.
        facts: What stands at the head of the page beside the model and the rows.
    """
    looks = _looks(found)
    page = Page("Inspection", " against ".join(looks), [*_facts(found), *facts])
    page.verdict(verdict(found))
    said = [note for look in looks.values() for note in look.notes]
    for name, look in looks.items():
        for note in look.notes:
            shared = said.count(note) == len(looks)
            if not shared:
                page.text(f"{name}: {note}.")
            elif look is found:
                page.text(f"{note[:1].upper()}{note[1:]}.")
    _measures(page, found, looks)
    _similarities(page, looks)
    _rows_to_look_at(page, looks)
    _maps(page, looks)
    _spectrum(page, looks)
    _gaps(page, looks)
    _by_size(page, looks)
    page.data("measures", {name: look.measures for name, look in looks.items()})
    return page


def verdict(found: Inspection) -> str:
    """What was found, in a few words and without judging: what is good depends on the use."""
    asking, repeating = ("query", "queries"), ("document", "documents")
    if found.schema != "retrieval":
        asking = repeating = ("row", "rows")
    parts = []
    share = found.measures["false_negative_share"]
    if share is not None:
        one = found.false_negative_rows == 1
        what = f"{asking[0]} has" if one else f"{asking[1]} have"
        belongs = (
            f"{found.false_negative_rows:,} {what} a stranger nearer than what belongs to {'it' if one else 'them'}"
        )
        parts.append(f"{belongs} ({share:.1%})")
    parts.append(
        f"{_count(found.near_duplicate_count, 'couple')} of near-duplicates (cosine {found.threshold:g} or more)"
    )
    one = found.repeated == 1
    parts.append(f"{found.repeated:,} {repeating[0] + ' repeats' if one else repeating[1] + ' repeat'} an earlier one")
    rank = found.measures["effective_rank"]
    parts.append(f"{rank:.0f} of {found.dims} directions are used (effective rank)")
    line = "; ".join(parts)
    return f"{line[:1].upper()}{line[1:]}."


def measure_rows(found: Inspection) -> list[list[Cell]]:
    """A row for each measure that there is: name, value, and beside another model its value and the difference."""
    from nearfar.inspection.measuring import MEASURES

    rows: list[list[Cell]] = []
    for key, (name, _, says) in MEASURES.items():
        value = found.measures[key]
        other = None if found.against is None else found.against.measures[key]
        if value is None and other is None:
            continue
        row: list[Cell] = [name, _figure(value)]
        if found.against is not None:
            row += [_figure(other), _difference(found, key, value, other)]
        rows.append([*row, says])
    return rows


def _difference(found: Inspection, key: str, value: float | None, other: float | None) -> str | None:
    interval = found.differences.get(key)
    if interval is not None:
        return f"{_signed(interval.mean)} [{_signed(interval.low)}, {_signed(interval.high)}]"
    return None if value is None or other is None else _signed(other - value)


def _looks(found: Inspection) -> dict[str, Inspection]:
    """Each model's, by a name that is its own."""
    looks = {_short(found.model): found}
    if found.against is not None:
        name = _short(found.against.model)
        looks[name if name not in looks else f"{name} (2)"] = found.against
    return looks


def _short(model: str) -> str:
    """A run's model by the run's name; other models by their last name."""
    parts = [part for part in Path(model).parts if part not in ("model", "/")]
    return parts[-1] if parts else model


def _facts(found: Inspection) -> list[tuple[str, object]]:
    items = ", ".join(f"{count:,} {name}" for name, count in found.items.items())
    rows = f"{found.looked_at:,} of {found.total:,}" if found.sampled else f"{found.total:,}"
    models: list[tuple[str, object]] = [("model", found.model)]
    if found.against is not None:
        models.append(("against", found.against.model))
    return [*models, ("schema", found.schema), ("rows", rows), ("different items", items), ("seed", found.seed)]


def _measures(page: Page, found: Inspection, looks: dict[str, Inspection]) -> None:
    page.section("The space in figures")
    if found.against is None:
        page.table(["measure", "value", "what it says"], measure_rows(found))
        return
    page.text(
        "Differences are the second model minus the first, with a paired 95% interval over items where the measure is "
        "a mean or a correlation over them. The others are of the whole set, which no resampling of items shows."
    )
    first, second = looks
    page.table(["measure", first, second, "difference", "what it says"], measure_rows(found))
    from nearfar.inspection.measuring import MEASURES

    shown = [key for key in MEASURES if key in found.differences]
    if shown:
        page.figure(
            dot_interval_chart(
                [MEASURES[key][0] for key in shown],
                {"difference": [Estimate(*found.differences[key]) for key in shown]},
                title=f"{second} minus {first}",
                caption="Where the line of zero lies inside an interval, the items do not tell the two apart.",
                reference=0.0,
            )
        )


def _similarities(page: Page, looks: dict[str, Inspection]) -> None:
    page.section(
        "Similarities",
        "Cosines of what belongs together and of what does not. The less the two overlap, the fewer mistakes a search "
        "makes.",
    )
    for name, look in looks.items():
        if look.similarities:
            title = "Cosines" if len(looks) == 1 else f"Cosines: {name}"
            page.figure(histogram(look.similarities, title=title, x_label="cosine"))


def _rows_to_look_at(page: Page, looks: dict[str, Inspection]) -> None:
    first = next(iter(looks.values()))
    page.section(
        "Rows to look at",
        "A likely false negative is something unpaired that is more similar than what belongs to the row. Trained as a "
        "negative, it teaches what is wrong. The most similar come first. A model is no judge: read them.",
    )
    for name, look in looks.items():
        of = "" if len(looks) == 1 else f", by {name}"
        rivals = look.false_negatives[:ROWS]
        if rivals:
            page.table(
                ["row", "belongs to it", "nearer stranger"],
                [
                    [
                        _said(each.item),
                        f"{each.cosine:.3f}  {_said(each.partner)}",
                        f"{each.stranger_cosine:.3f}  {_said(each.stranger)}",
                    ]
                    for each in rivals
                ],
                caption=f"Likely false negatives{of}, with cosines: {_of(len(rivals), look.false_negative_rows)} rows.",
            )
        elif look.measures["false_negative_share"] is not None:
            page.text(f"No likely false negatives{of}.")
        couples = look.near_duplicates[:ROWS]
        if couples:
            page.table(
                ["cosine", "row", "other row"],
                [[f"{each.cosine:.3f}", _said(each.first), _said(each.second)] for each in couples],
                caption=f"Near-duplicates{of}: {_of(len(couples), look.near_duplicate_count)} couples.",
            )
        else:
            page.text(f"No near-duplicates of a cosine of {look.threshold:g} or more{of}.")
    if first.repeats:
        rows = first.repeats[:ROWS]
        page.table(
            ["row", "repeats", "another label or score"],
            [[place_name(each.row), place_name(each.earlier), each.contradicts] for each in rows],
            caption=f"Rows with the texts of an earlier row: {_of(len(rows), first.repeated)}, "
            f"{first.contradictions:,} of them with another label or score.",
        )
    else:
        page.text("No row repeats the texts of an earlier one.")
    for name, look in looks.items():
        of = "" if len(looks) == 1 else f", by {name}"
        page.table(
            ["times", "item"],
            [[each.occurrence, _said(each.item)] for each in look.hubs],
            caption=f"Hubs: how often an item is among the ten nearest{of}.",
        )


def _maps(page: Page, looks: dict[str, Inspection]) -> None:
    of = {"pca": "The two directions of most variance", "tsne": "t-SNE: distances between groups say nothing"}
    first = next(iter(looks.values()))
    page.section("Map", f"{of.get(first.map, first.map)}. Point at a dot to read it.")
    maps: list[tuple[str, Groups, str | None]] = []
    for name, look in looks.items():
        title = "Map" if len(looks) == 1 else f"Map: {name}"
        by_group, rest = grouped((point.group, point) for point in look.points)
        by_side, _ = grouped((point.side, point) for point in look.points)
        maps.append((title, by_group, rest))
        if len(by_side) > 1 and list(by_side) != list(by_group):
            maps.append((f"{title}, by side", by_side, None))
    for title, series, rest in maps:
        page.figure(flat_map(series, title=title, rest=rest, most=DOTS // len(maps)))


def grouped(points: Iterable[tuple[str, Point]]) -> tuple[Groups, str | None]:
    """Dots by group, the largest groups first; and what those beyond `GROUPS` are called together, if there are any."""
    found: Groups = {}
    for group, point in points:
        found.setdefault(group, []).append((point.x, point.y, _cut(point.text, TIP)))
    order = sorted(found, key=lambda group: -len(found[group]))
    if len(order) <= GROUPS + 1:
        return {group: found[group] for group in order}, None
    rest = f"{len(order) - GROUPS} other labels"
    kept = {group: found[group] for group in order[:GROUPS]}
    return kept | {rest: [dot for group in order[GROUPS:] for dot in found[group]]}, rest


def _spectrum(page: Page, looks: dict[str, Inspection]) -> None:
    lines = {}
    for name, look in looks.items():
        total, points = 0.0, []
        for number, share in enumerate(look.spectrum[:COMPONENTS], 1):
            total += share
            points.append((number, 100 * total))
        if points:
            lines[name] = points
    if not lines:
        return
    page.section(
        "Spectrum",
        "How much of the variance the first so many principal components hold together. A line that rises at once "
        "belongs to a space that uses few of its directions.",
    )
    page.figure(line_chart(lines, title="Variance explained", x_label="principal components", y_label="share in %"))


def _gaps(page: Page, looks: dict[str, Inspection]) -> None:
    gaps = {name: look.gap for name, look in looks.items() if look.gap is not None}
    if not gaps:
        return
    sides = list(next(iter(looks.values())).items)
    page.section(
        "Gap between the sides",
        f"a is {sides[0]}, b is {sides[-1]}. Linear separability is the accuracy of a plane that tells them apart: 0.5 "
        "by chance, 1 with a gap.",
    )
    names = list(next(iter(gaps.values())))
    page.table(
        ["measure", *gaps],
        [[name.replace("_", " "), *(_figure(of[name]) for of in gaps.values())] for name in names],
    )


def _by_size(page: Page, looks: dict[str, Inspection]) -> None:
    rows = next(iter(looks.values())).size_rows
    kinds = (
        ("By layer", "layers", "layers", "the model cut after each layer, what follows the last layer kept"),
        ("By dimension", "sizes", "dimensions", "prefixes of the vectors, scaled to length one again"),
    )
    for title, attribute, x_label, what in kinds:
        sizes: dict[str, list[AtSize]] = {name: getattr(look, attribute) for name, look in looks.items()}
        sizes = {name: each for name, each in sizes.items() if each}
        if not sizes:
            continue
        page.section(title, f"Measured on {rows:,} rows: {what}.")
        for keys in _PANELS:
            there = [
                key for key in keys if any(size.measures[key] is not None for each in sizes.values() for size in each)
            ]
            lines = _lines(sizes, there, attribute)
            if any(len(points) > 1 for points in lines.values()):
                page.figure(line_chart(lines, title=_title(there), x_label=x_label))


def _title(keys: Sequence[str]) -> str:
    from nearfar.inspection.measuring import MEASURES

    *most, last = [MEASURES[key][0] for key in keys]
    title = f"{', '.join(most)} and {last}" if most else last
    return title[:1].upper() + title[1:]


def _lines(sizes: dict[str, list[AtSize]], keys: Sequence[str], attribute: str) -> dict[str, list[tuple[float, float]]]:
    from nearfar.inspection.measuring import MEASURES

    lines: dict[str, list[tuple[float, float]]] = {}
    for key in keys:
        for name, each in sizes.items():
            points = [
                (float(size.layers or 0) if attribute == "layers" else float(size.dims), value)
                for size in each
                if (value := size.measures[key]) is not None
            ]
            if points:
                said = MEASURES[key][0]
                lines[said if len(sizes) == 1 else f"{said}: {name}"] = points
    return lines


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _said(item: Named) -> str:
    """Place, text and label of an item; a label of many words may break, for a telephone's sake."""
    label = "" if item.label is None else f"  [{_cut(item.label, TIP)}]".replace("_", "_\u200b")
    return f"{item.name}: {_cut(item.text)}{label}"


def _of(shown: int, total: int) -> str:
    return f"{total:,}" if shown == total else f"{shown:,} of {total:,}"


def _figure(value: float | None) -> str | None:
    if value is None:
        return None
    return fixed(value, 1 if abs(value) >= 10 else 3)


def _signed(value: float) -> str:
    text = _figure(value)
    assert text is not None
    return f"+{text}" if value > 0 else text


def _cut(text: str, most: int = CUT) -> str:
    text = plain(text)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
