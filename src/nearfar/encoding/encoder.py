"""A callable that encodes batches of texts in the workers of a library that maps datasets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.encoding import BATCH_SIZE, TextOptions, check_batch_size

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Encoder"]


class Encoder:
    """Adds a column `vector` to batches with a column of texts.

    The model is loaded by the first call, and is not pickled: only its name and the options travel to the workers. For
    Ray Data (`dataset.map_batches`, with this class and its arguments as `fn_constructor_kwargs`) and for
    `datasets.Dataset.map` (with an object, and `batched=True`).

    Args:
        model: A folder, a Hub ID or an alias; where the workers run, it must exist too.
        column: The column of texts.
        view: Name of a view, of an encoder that has several.
        fingerprint: `nearfar.models.fingerprint` of the model, to detect that a worker has another one of this name.
        **options: Those of `nearfar.models.encoding.encode`: `batch_size` (a batch may contain more texts: they are
            sorted by length), `max_length`, `normalize`, `kind`, `prompt`.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": ["near", "far"]})
        >>> rows.map(Encoder("minilm"), batched=True).column_names  # doctest: +SKIP
        ['text', 'vector']
    """

    def __init__(
        self,
        model: str | Path,
        *,
        column: str = "text",
        view: str | None = None,
        fingerprint: str | None = None,
        **options: Unpack[TextOptions],
    ) -> None:
        check_batch_size(options.get("batch_size", BATCH_SIZE))
        self.name, self.column = str(model), column
        self._view, self._fingerprint = view, fingerprint
        # The length is a setting of the model that is loaded: models of words, not tokens, accept it nowhere else.
        self._max_length = options.pop("max_length", None)
        self._options = options
        self._model: Any = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch with a column `vector`, a float32 matrix with a row for each text.

        Raises:
            InputError: The column is missing, a row is not text, or the model does not exist or is another one.
        """
        from nearfar.models.encoding import encode

        if self.column not in batch:
            problem = f"expected a column {self.column!r}, got {', '.join(batch)}"
            raise InputError(problem, field="column", remedy="pass column=NAME")
        if self._model is None:
            self._model = self._load()
        return {**batch, "vector": encode(self._model, list(batch[self.column]), **self._options)}

    def __getstate__(self) -> dict[str, Any]:
        """Without the model."""
        return {**self.__dict__, "_model": None}

    def _load(self) -> Any:
        from nearfar.kinds.loading import load_vectorizer
        from nearfar.models.fingerprint import fingerprint

        model = load_vectorizer(self.name, max_length=self._max_length, view=self._view)
        if self._fingerprint is not None and fingerprint(model) != self._fingerprint:
            problem = f"{self.name!r} is another model here than where the command was started"
            raise InputError(problem, field="model", remedy="copy the same folder to every machine")
        return model
