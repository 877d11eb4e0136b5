"""An encoder with several views: one SentenceTransformer that gives several vectors of each input."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from nearfar.kinds.encoder import Encoder

__all__ = ["EncoderWithViews"]


class EncoderWithViews(Encoder):
    """A SentenceTransformer with views, see `nearfar.models.views`; as an encoder it gives vectors of its first view.

    It is saved as an encoder, whose folder has a folder for each view.
    """

    words: ClassVar[str] = "an encoder with views"
    pipeline: ClassVar[str | None] = None
    usage: ClassVar[str] = (
        "from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(MODEL)\n"
        "print(list(model[0].sub_modules))  # its views\n"
        "vectors = model.encode(inputs)  # of the first view; for another, pass task=NAME, or load MODEL/NAME"
    )

    def write(self, folder: Path) -> None:
        """In the format that `SentenceTransformer(folder)` loads, and each view in a folder of its own."""
        from nearfar.models.views import write_views

        write_views(self.model, folder)
