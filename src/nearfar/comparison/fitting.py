"""Which recipes train on rows with these columns, and why the others do not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.data.media import medium_in
from nearfar.data.schemas import SCHEMAS, matching, text_columns

if TYPE_CHECKING:
    from nearfar.recipes import Recipe

#: What rows of a schema have that others lack, in a word.
_HAVE = {
    "pairs": "pairs",
    "domain pairs": "domains",
    "domain labelled": "domains",
    "scored pairs": "scores",
    "dictionary": "definitions",
    "rationales": "rationales",
    "dialogues": "dialogues",
    "turns": "dialogues",
    "image + text": "pictures",
    "image + label": "pictures",
    "audio + text": "recordings",
    "audio + label": "recordings",
    "labelled": "labels",
    "ranked lists": "ranked lists",
    "label texts": "label texts",
    "sentences": "single texts",
    "documents": "documents",
}
#: Schemas whose texts, one by one, are sentences as well.
_TEXTS_OF = ("pairs", "domain pairs", "scored pairs", "dictionary")


@dataclass(frozen=True)
class Fit:
    """Whether a recipe takes part.

    Args:
        recipe: Its name.
        reason: Why it does not; None where it does.
        on_texts: It trains on the texts of the rows one by one, without what joins them.
    """

    recipe: str
    reason: str | None = None
    on_texts: bool = False


def fits(recipes: Sequence[Recipe], columns: Collection[str]) -> list[Fit]:
    """What each recipe makes of rows with these columns, in the order given."""
    return [_fit(recipe, columns) for recipe in recipes]


def _fit(recipe: Recipe, columns: Collection[str]) -> Fit:
    if recipe.roles == ("stream",):
        return Fit(recipe.name, "trains on a stream of tasks, which a comparison does not have; use nearfar train")
    if recipe.roles != ("rows",):
        return Fit(recipe.name, f"needs several datasets ({', '.join(recipe.roles)}), and one is compared on")
    if "documents" in recipe.schemas:
        return Fit(recipe.name, "trains a language model on documents, and what is compared is trained on rows")
    medium = medium_in(columns)
    schemas = [SCHEMAS[name] for name in recipe.schemas]
    if medium is not None:
        # A model without a tower for the files cannot be measured on them.
        schemas = [schema for schema in schemas if medium in schema.required]
    if any(schema.fits(columns) for schema in schemas):
        return Fit(recipe.name)
    if medium is None and "sentences" in recipe.schemas and _has_texts(columns):
        return Fit(recipe.name, on_texts=True)
    if medium is not None and not schemas:
        return Fit(recipe.name, f"trains on texts alone, and these rows have the column {medium!r}")
    return Fit(recipe.name, needs(recipe.schemas, columns))


def needs(schemas: Sequence[str], columns: Collection[str]) -> str:
    """What rows with these columns lack for all of the schemas: "needs scores (sentence1, sentence2, score)"."""
    found: dict[str, list[str]] = {}
    for name in schemas:
        wanted = SCHEMAS[name].required
        missing = [column for column in wanted if column not in columns]
        found.setdefault(_HAVE[name], []).append(", ".join(missing))
    return "needs " + " or ".join(f"{word} ({' or '.join(missing)})" for word, missing in found.items())


def _has_texts(columns: Collection[str]) -> bool:
    schemas = matching(columns)
    return bool(schemas) and schemas[0].name in _TEXTS_OF and bool(text_columns(schemas[0], columns))
