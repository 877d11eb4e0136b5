"""Which recipes can train on rows with these columns, whether the base model reads them, and why others cannot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.comparison.ranking import BASE
from nearfar.comparison.variant_names import named
from nearfar.data.media import WORDS, medium_in
from nearfar.data.schemas import SCHEMAS, matching, text_columns

if TYPE_CHECKING:
    from nearfar.recipes import Recipe

#: What distinguishes the rows of a schema, in a word or two.
_HAVE = {
    "pairs": "pairs",
    "domain pairs": "domains",
    "domain labelled": "domains",
    "scored pairs": "scores",
    "dictionary": "definitions",
    "rationales": "rationales",
    "questions": "questions",
    "dialogues": "dialogues",
    "turns": "dialogues",
    "domain dialogues": "domains",
    "domain turns": "domains",
    "interleaved": "documents with images",
    "image + text": "images",
    "image + label": "images",
    "audio + text": "audio",
    "audio + label": "audio",
    "labelled": "labels",
    "ranked lists": "ranked lists",
    "label texts": "label texts",
    "sentences": "single texts",
    "documents": "documents",
}
#: First schemas of recipes that train on texts alone only beside annotated ones, or cannot be measured on them.
_BESIDE_TEXTS = ("label texts", "domain dialogues")
#: Schemas whose texts can also be used as single sentences.
_TEXTS_OF = ("pairs", "domain pairs", "scored pairs", "dictionary")


@dataclass(frozen=True)
class Fit:
    """Whether a recipe, or the base model, is compatible with the rows.

    Args:
        recipe: Its name; `base` for the base model.
        reason: Why it is not compatible; None if it is.
        on_texts: Whether it trains on the single texts of the rows, without their relations.
        variant: The name of the rows, if they are a variant of the training rows.
    """

    recipe: str
    reason: str | None = None
    on_texts: bool = False
    variant: str = ""

    @property
    def name(self) -> str:
        """The name in results, such as `infonce+mined` on a variant."""
        return named(self.recipe, self.variant)


def fits(
    recipes: Sequence[Recipe], columns: Collection[str], variant: str = "", given: Collection[str] = ()
) -> list[Fit]:
    """Whether each recipe is compatible with rows that have these columns, in the given order.

    Args:
        recipes: The recipes.
        columns: The columns.
        variant: The name of the rows, if they are a variant of the training rows.
        given: The options that are set, such as `teacher`, or `score_distillation.teacher` for one recipe.
    """
    return [replace(_fit(recipe, columns, given), variant=variant) for recipe in recipes]


def base_fit(model: str | Path, columns: Collection[str]) -> Fit:
    """Whether the base model, by its name, can be evaluated on rows with these columns.

    An encoder of texts returns no vectors of images or audio files: these get a tower when a recipe trains one.
    """
    from nearfar.kinds.loading import class_of
    from nearfar.models.abilities import EncodesMedia

    medium = medium_in(columns)
    if medium is None or issubclass(class_of(model), EncodesMedia):
        return Fit(BASE)
    return Fit(BASE, f"{model} cannot read {WORDS[medium]}")


def base_kind(model: str | Path, recipes: Sequence[Recipe]) -> str:
    """The kind as which the base model, by its name, is measured: it must have the task of what is trained from it.

    A model that neither encodes nor scores, such as a causal language model, is read as the recipes read it.
    """
    from nearfar.kinds.loading import class_of
    from nearfar.models.abilities import Encodes, Scores

    found = class_of(model)
    trained = [recipe.trains for recipe in recipes if isinstance(recipe.trains, str)]
    if issubclass(found, (Encodes, Scores)) or not trained:
        return found.name
    return "encoder" if "encoder" in trained else trained[0]


def _fit(recipe: Recipe, columns: Collection[str], given: Collection[str]) -> Fit:
    if recipe.roles == ("stream",):
        return Fit(recipe.name, "trains on a stream of tasks, which a comparison does not have; use nearfar train")
    if recipe.roles != ("rows",):
        return Fit(recipe.name, f"requires several datasets ({', '.join(recipe.roles)}); a comparison uses one")
    if "documents" in recipe.schemas:
        return Fit(recipe.name, "trains a language model on documents; a comparison trains on rows")
    if set(_of(recipe.trains)) <= {"causal LM", "seq2seq LM", "vision-language LM"}:
        return Fit(recipe.name, "trains a language model on answers; a comparison measures how texts are found")
    annotated = [name for name in recipe.schemas if name != "sentences"]
    if recipe.schemas[0] in _BESIDE_TEXTS and not any(SCHEMAS[name].fits(columns) for name in annotated):
        return Fit(recipe.name, needs(annotated, columns))
    medium = medium_in(columns)
    schemas = [SCHEMAS[name] for name in recipe.schemas]
    if medium is not None:
        # A model without a tower for the files cannot be evaluated on them.
        schemas = [schema for schema in schemas if medium in schema.required]
    taken = next((schema.name for schema in schemas if schema.fits(columns)), None)
    on_texts = taken is None and medium is None and "sentences" in recipe.schemas and _has_texts(columns)
    if taken is not None or on_texts:
        return Fit(recipe.name, _lacks_option(recipe, taken or "sentences", given), on_texts)
    if medium is not None and not schemas:
        return Fit(recipe.name, f"trains only on texts; these rows have the column {medium!r}")
    return Fit(recipe.name, needs(recipe.schemas, columns))


def _lacks_option(recipe: Recipe, schema: str, given: Collection[str]) -> str | None:
    """Why a recipe cannot train on rows of a schema with the options that are set; None if it can."""
    option = recipe.required_options.get(schema)
    if option is None or option in given or f"{recipe.name}.{option}" in given:
        return None
    return f"needs the option {option} for {schema}: --set {option}=VALUE"


def _of(kinds: str | tuple[str, ...]) -> tuple[str, ...]:
    return (kinds,) if isinstance(kinds, str) else kinds


def needs(schemas: Sequence[str], columns: Collection[str]) -> str:
    """What rows with these columns lack for the schemas, such as "needs scores (sentence1, sentence2, score)"."""
    found: dict[str, list[str]] = {}
    for name in schemas:
        wanted = SCHEMAS[name].required
        missing = [column for column in wanted if column not in columns]
        found.setdefault(_HAVE[name], []).append(", ".join(missing))
    return "needs " + " or ".join(f"{word} ({' or '.join(missing)})" for word, missing in found.items())


def _has_texts(columns: Collection[str]) -> bool:
    schemas = matching(columns)
    return bool(schemas) and schemas[0].name in _TEXTS_OF and bool(text_columns(schemas[0], columns))
