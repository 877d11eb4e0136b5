"""What a recipe is: one paper's answers to who is near, who is far, and how hard the pull is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Plan
from nearfar.recipes._about import entry

__all__ = ["About", "Paper", "Recipe"]

KindName = Literal[
    "encoder", "two towers", "pair scorer", "classifier", "reranker", "causal LM", "seq2seq LM", "vision-language LM"
]


@dataclass(frozen=True)
class Paper:
    """Where a recipe comes from."""

    title: str
    authors: str
    year: int
    url: str

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}): {self.title}"


@dataclass(frozen=True)
class About:
    """What a recipe says of itself; of the recipes here it is in `about.yaml`.

    Args:
        summary: One line on what it does.
        idea: Who is near, who is far and how they are pulled, in two or three sentences for someone who chooses.
        use_when: What a user has, and wants, for whom it is made.
        needs: What data it needs, in a few words.
        paper: Its source.
    """

    summary: str = ""
    idea: str = ""
    use_when: str = ""
    needs: str = ""
    paper: Paper | None = None


@dataclass(frozen=True)
class Recipe:
    """One file of `nearfar.recipes`, or of a user's own.

    Args:
        name: As in `nearfar train NAME`; the file's name.
        inputs: The schemas of each role that rows can have, the usual one first. One role `rows` is what most recipes
            have; two roles, such as `background` and `target`, are two datasets that the user names; `stream` is a
            sequence of tasks: several datasets in order, or rows with a column `task`. The schema `documents` also
            reads plain text.
        options: Its hyper-parameters, with the paper's names and defaults.
        prepare: Composes the library's parts into a plan. It is called with the model (what `nearfar.load` returns for
            its kind), the rows (a Dataset for the role `rows`, else a
            DatasetDict by role or task) and the options.
        trains: The kind of model that it starts from, see `nearfar.kinds`; or several, which it can start from.
        model: What it starts from where no model is named; a name for each column, if the rows decide (the first of
            these columns that they have); None: the user has to name one.
        makes_model: `prepare` makes a new model, and gets the name of the one that the user named, or None.
        required_options: The option that has to be set on rows of a schema, by schema.
        multi_dataset: The role `rows` accepts several datasets at once, each with a schema of its own.
        about: What it says of itself; None: as `about.yaml` has it.
        file: Where it was read from, for a recipe of a user's own.
    """

    name: str
    inputs: Mapping[str, tuple[str, ...]]
    options: type[TrainingOptions]
    prepare: Callable[[Any, Any, Any], Plan] = field(repr=False)
    trains: KindName | tuple[KindName, ...] = "encoder"
    model: str | Mapping[str, str] | None = "minilm"
    makes_model: bool = False
    required_options: Mapping[str, str] = field(default_factory=dict)
    multi_dataset: bool = False
    about: About | None = None
    file: Path | None = None

    def recorded(self) -> dict[str, str]:
        """What `run.yaml` says of a user's own file: a run is resumed by the same code only."""
        if self.file is None:
            return {}
        return {"recipe_file": str(self.file), "recipe_sha256": hashlib.sha256(self.file.read_bytes()).hexdigest()}

    def base(self, columns: Collection[str]) -> str | None:
        """What it starts from where no model is named, for rows with these columns."""
        if not isinstance(self.model, Mapping):
            return self.model
        return next((name for column, name in self.model.items() if column in columns), None)

    @cached_property
    def _about(self) -> About:
        if self.about is not None:
            return self.about
        found = entry(self.name)
        return About(**{**found, "paper": Paper(**found["paper"])}) if found else About()

    @property
    def summary(self) -> str:
        """One line on what it does."""
        return self._about.summary

    @property
    def idea(self) -> str:
        """Who is near, who is far, and how they are pulled."""
        return self._about.idea

    @property
    def use_when(self) -> str:
        """For whom it is made."""
        return self._about.use_when

    @property
    def task(self) -> str:
        """What data it needs."""
        return self._about.needs

    @property
    def paper(self) -> Paper | None:
        """Its source."""
        return self._about.paper

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas of all its roles."""
        return tuple(dict.fromkeys(name for names in self.inputs.values() for name in names))

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of its rows."""
        return tuple(self.inputs)
