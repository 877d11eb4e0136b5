"""The text encoder: one vector per text, with the model and the trainer of sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.kinds.kind import Kind, Setting
from nearfar.models.abilities import Encodes, Scores
from nearfar.models.encoding import Kind as Prompt
from nearfar.models.encoding import check_texts, encode, method_of, require_finite
from nearfar.models.towers.columns import column_routes

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from nearfar.kinds._sampling import Part
    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["Encoder"]

_SIDES: tuple[Prompt, Prompt] = ("query", "document")


class Encoder(Kind, Encodes, Scores):
    """A SentenceTransformer. It has the abilities `Encodes` and `Scores` (its similarity function, by default cosine).

    Args:
        model: The model; trained in place.
        write: Writes the model into a folder, for models that `save_pretrained` cannot write.
    """

    name: ClassVar[str] = "encoder"
    words: ClassVar[str] = "a text encoder"
    library: ClassVar[str] = "sentence-transformers"
    pipeline: ClassVar[str | None] = "sentence-similarity"
    usage: ClassVar[str] = (
        "from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(MODEL)\n"
        'vectors = model.encode(["a text", "another text"])\nprint(model.similarity(vectors, vectors))'
    )
    prompted: ClassVar[bool] = True
    pooled: ClassVar[bool] = True
    chunked: ClassVar[bool] = True

    def __init__(
        self, model: SentenceTransformer, write: Callable[[SentenceTransformer, Path], None] | None = None
    ) -> None:
        self.model, self._write = model, write

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Encoder:
        """See `nearfar.models.load`."""
        from nearfar.models.loading import load

        return cls(load(name, device=device))

    @property
    def host(self) -> SentenceTransformer:
        """The SentenceTransformer."""
        return self.model

    @property
    def module(self) -> SentenceTransformer:
        """The SentenceTransformer, too."""
        return self.model

    def encode(
        self, texts: Sequence[str], *, batch_size: int = 64, kind: Prompt | None = None
    ) -> Float[np.ndarray, "n d"]:
        """The unit vectors of texts; see `nearfar.models.encoding.encode`."""
        return encode(self.model, texts, batch_size=batch_size, kind=kind)

    def comparable(
        self, texts: Sequence[str], *, batch_size: int = 64, kind: Prompt | None = None
    ) -> Float[Tensor, "n d"]:
        """See `Encodes`: the model's own vectors, of any length, on its device."""
        method = method_of(self.model, kind)
        return method(list(texts), batch_size=batch_size, show_progress_bar=False, convert_to_tensor=True).float()

    def similarity(self, a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """See `Encodes`: by the model's similarity function."""
        return self.model.similarity(a, b)

    def score_pairs(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """The similarity of each pair, by the model's similarity function; neither text is a query or a document."""
        return self._pairwise(first, second, (None, None), batch_size)

    def score_relevance(
        self, queries: Sequence[str], documents: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """The similarity of each query with its document, by the model's similarity function."""
        return self._pairwise(queries, documents, _SIDES, batch_size)

    def _pairwise(
        self, first: Sequence[str], second: Sequence[str], kinds: Sequence[Prompt | None], batch_size: int
    ) -> Float[np.ndarray, " n"]:
        import numpy as np
        import torch

        vectors = []
        for field, texts, kind in zip(("first", "second"), (first, second), kinds, strict=True):
            check_texts(texts, field=field)
            found = method_of(self.model, kind)(list(texts), batch_size=batch_size, show_progress_bar=False)
            found = np.asarray(found, dtype=np.float32)
            require_finite(found)
            vectors.append(torch.from_numpy(found))
        return np.asarray(self.model.similarity_pairwise(*vectors), dtype=np.float32)

    def score_matrix(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, "n m"]:
        """See `Scores`: every text is encoded once, first texts as queries, second ones as documents."""
        import numpy as np

        sides = (
            self.comparable(texts, batch_size=batch_size, kind=kind)
            for texts, kind in zip((first, second), _SIDES, strict=True)
        )
        return np.asarray(self.similarity(*sides).cpu(), dtype=np.float32)

    def fingerprint(self, name: object) -> str:
        """A hash of the weights, the vocabulary and the settings that affect vectors."""
        from nearfar.models.fingerprint import fingerprint

        return fingerprint(self.model)

    def write(self, folder: Path) -> None:
        """In the format that `SentenceTransformer(folder)` loads."""
        if self._write is None:
            self.model.save_pretrained(str(folder), create_model_card=False)
        else:
            self._write(self.model, folder)

    def configure(self, options: TrainingOptions) -> None:
        """Set the pooling, and check the length; in evaluation and after training, the model keeps its own length."""
        from nearfar.models.loading import check_max_length
        from nearfar.models.pooling import set_pooling

        if options.pooling != "own":
            set_pooling(self.model, options.pooling)

        if options.max_length:
            check_max_length(self.model, options.max_length)

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """Raise an InputError if no batch can be drawn, or if the prompts do not fit the rows."""
        from nearfar.kinds._sampling import check_parts, parts_of
        from nearfar.models.prompts import parse_prompts, prompts_by_kind

        parts = parts_of(stage, options)
        prompts_by_kind(parse_prompts(options.prompts) or {}, [part.rows for part in parts])
        check_parts(parts, options)

    def prompts_in_training(self, stage: Stage, options: TrainingOptions) -> dict[str, Any]:
        """By what the option `prompts` says, or else by the model's own prompts."""
        from nearfar.kinds._sampling import parts_of
        from nearfar.models.prompts import column_prompts, parse_prompts, set_prompts, without_prompts

        parts, chosen = parts_of(stage, options), parse_prompts(options.prompts)
        # Until training begins, the base model keeps its own.
        with nullcontext() if chosen is None else without_prompts(self.model):
            if chosen is not None:
                set_prompts(self.model, chosen, [part.rows for part in parts])
            return _by_part(parts, lambda part: column_prompts(self.model, part.rows))

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting, *, prompted: bool = True) -> Any:
        """sentence-transformers' trainer; `prompted`: with the prompts that the option `prompts` says."""
        from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

        from nearfar.kinds._sampling import parts_of
        from nearfar.kinds._trainer import sentence_trainer

        parts = parts_of(stage, options)
        prompts = _prompts(self.model, parts, options) if prompted else {}
        routes = _by_part(parts, lambda part: column_routes(self.model, part.rows.column_names))
        if stage.views is not None:
            made = stage.views.columns
            routes = {name: routes[stored] for name, stored in made.items() if stored in routes}
            prompts = {name: prompts[stored] for name, stored in made.items() if stored in prompts}
        trainer = sentence_trainer(
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
            self.model,
            stage,
            options,
            setting,
            router_mapping=routes,
            prompts=prompts or None,
            # A step calls each tower by itself. torch would take the weights of the other towers for unused in each
            # call, and fail when they get a gradient after all.
            ddp_find_unused_parameters=False if len(set(routes.values())) > 1 else None,
        )
        trainer.prompts = prompts
        if options.max_length:
            # Only in training: in evaluation and after training, the model keeps its own length.
            trainer.data_collator.max_length = options.max_length
        return trainer

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """The prompts of training by column, of several datasets by their names; nothing where there were none."""
        found = {key: value for trainer in trainers for key, value in trainer.prompts.items()}
        return {"prompts": found} if found else {}


def _prompts(model: SentenceTransformer, parts: Sequence[Part], options: TrainingOptions) -> dict[str, Any]:
    """The prompt of each column, after the model was given those that are set; of several datasets for each."""
    from nearfar.models.prompts import column_prompts, parse_prompts, set_prompts

    chosen = parse_prompts(options.prompts)
    if chosen is not None:
        set_prompts(model, chosen, [part.rows for part in parts])
    return _by_part(parts, lambda part: column_prompts(model, part.rows))


def _by_part(parts: Sequence[Part], find: Callable[[Part], dict[str, str]]) -> dict[str, Any]:
    """What is found for the one dataset; of several for each that has any, by its name."""
    found = {part.name: find(part) for part in parts}
    return found[None] if None in found else {str(name): each for name, each in found.items() if each}
