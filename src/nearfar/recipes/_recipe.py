"""What a recipe is: one paper's answers to who is near, who is far, and how hard the pull is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nearfar.kinds.options import TrainingOptions

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset, DatasetDict
    from sentence_transformers import SentenceTransformer
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nearfar.data import Retrieval

Batches = Literal["no_duplicates", "group_by_label", "shuffled"]


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
class Plan:
    """What training needs beyond the options that all recipes share.

    Args:
        rows: Columns as the loss takes them, in its order; or several data sets by name. Then all batches of one step
            are of one data set, see `nearfar.kinds._sampling`.
        loss: A module that sentence-transformers' trainer accepts; of several data sets one for all, or one for each.
        batches: How rows are drawn: `"no_duplicates"` keeps a text from being its own negative (and a score from being
            there twice), `"group_by_label"` puts at least two texts of a label into a batch, `"shuffled"` does neither.
            Of several data sets one for all, or one for each.
        then: The next stage, made once the encoder has been trained by this one. It must depend on nothing but the
            encoder and the seed, so that a resumed run makes the same.
        save: Writes what belongs to the model into its folder, after the encoder has been saved there.
        batch_sizes: Rows in a batch of each of several data sets; `batch_size` of the options where one is not named.
        learning_rates: Factors of `learning_rate` for some parameters, by regular expressions that are searched in
            their names. Those of the model begin with `model.`; before all of them stands the data set's name and a
            point where there are several losses.
        measure: Says of the encoder, before and after training, what `metrics.json` shall hold beside the evaluation:
            names and numbers. Called with the encoder and the held-out data, None without any.
    """

    rows: Dataset | DatasetDict
    loss: nn.Module | Mapping[str, nn.Module]
    batches: Batches | Mapping[str, Batches] = "no_duplicates"
    then: Callable[[], Plan] | None = None
    save: Callable[[Path], None] | None = None
    batch_sizes: Mapping[str, int] | None = None
    learning_rates: Mapping[str, float] | None = None
    measure: Callable[[SentenceTransformer, Dataset | Retrieval | None], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class LanguagePlan:
    """What training a causal language model needs beyond the options that all recipes share.

    Args:
        model: Trained in place.
        tokenizer: Cuts texts into tokens; saved with the model.
        loss: Called with the model and a batch of blocks: `LanguageLoss`, the next token and the recipe's own terms.
        save: Writes the model into a folder, where `model.save_pretrained` would not do.
        finish: Called with the run's folder, the blocks trained on and those held out (None without any), once the
            model is trained and saved; what it returns is added to the metrics.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    loss: nn.Module
    save: Callable[[Path], None] | None = None
    finish: Callable[[Path, Dataset, Dataset | None], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Recipe:
    """One file of `nearfar.recipes`.

    Args:
        name: As in `nearfar train NAME`; the file's name.
        summary: One line on what it does.
        paper: Its source.
        task: What it is for.
        schemas: Kinds of rows it trains on, the usual one first.
        options: Its hyper-parameters, with the paper's names and defaults.
        prepare: Composes the library's parts for a model and rows of one of `schemas`: a Dataset, or a DatasetDict
            where several are given.
        several: Takes several data sets at once, each with a schema of its own.
        trains: A sentence encoder, or a causal language model. For the latter `prepare` takes the model's name (or
            None), the documents and the options, returns a LanguagePlan, and `options` extend LanguageOptions.
        model: What it starts from where no model is named; None: `prepare` makes one.
        idea: Who is near, who is far and how they are pulled: two or three sentences for someone who chooses.
        use_when: What a user has, and wants, for whom it is made.
    """

    name: str
    summary: str
    paper: Paper
    task: str
    schemas: tuple[str, ...]
    options: type[TrainingOptions]
    prepare: Callable[[Any, Any, Any], Plan] | Callable[[Any, Any, Any], LanguagePlan] = field(repr=False)
    several: bool = False
    trains: Literal["encoder", "language model"] = "encoder"
    model: str | None = "minilm"
    idea: str = ""
    use_when: str = ""
