"""Views of a file and its text: one weak view and several strong views of each."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from nearfar.data.media import Reader

__all__ = ["PairedViews", "Views"]


class Views(Protocol):
    """Makes views of one kind of input."""

    def weak(self, value: Any, rng: random.Random, /) -> Any:
        """A view that is hardly changed."""
        ...

    def strong(self, value: Any, rng: random.Random, /) -> Any:
        """A view that is changed a lot."""
        ...


@dataclass(frozen=True)
class PairedViews:
    """From a row with a file and a text to their views: a column with the weak one, then those with strong ones.

    Args:
        reader: Decodes the file.
        files: Views of the decoded file.
        texts: Views of the text.
        number: Number of strong views of each.
        augment: What is augmented; of the rest, every view is the same.
    """

    reader: Reader
    files: Views
    texts: Views
    number: int = 2
    augment: Literal["both", "files", "texts", "none"] = "both"

    def __call__(self, row: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
        """The views of a row, in the order of `columns`."""
        file = self.reader.read(row[self.reader.medium])
        files = self.files if self.augment in ("both", "files") else None
        texts = self.texts if self.augment in ("both", "texts") else None
        values = [*self._of(file, files, rng), *self._of(row["text"], texts, rng)]
        return dict(zip(self.columns, values, strict=True))

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the views (image, image_1, ..., text, text_1, ...), each with the column that it shows."""
        stored = (self.reader.medium, "text")
        return {f"{name}_{k}" if k else name: name for name in stored for k in range(1 + self.number)}

    def _of(self, value: Any, views: Views | None, rng: random.Random) -> list[Any]:
        if views is None:
            return [value] * (1 + self.number)
        return [views.weak(value, rng), *(views.strong(value, rng) for _ in range(self.number))]
