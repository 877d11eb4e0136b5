"""Two towers: one SentenceTransformer that encodes texts, and images or audio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.kinds.encoder import Encoder
from nearfar.models.abilities import EncodesMedia

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.data.media import Medium

__all__ = ["TwoTowers"]


class TwoTowers(Encoder, EncodesMedia):
    """A SentenceTransformer with a tower for images or audio. It has the abilities of an encoder and `EncodesMedia`."""

    name: ClassVar[str] = "two towers"
    words: ClassVar[str] = "a model with two towers"

    @property
    def medium(self) -> Medium:
        """The medium that the model encodes besides text."""
        from nearfar.models.towers import medium_of

        medium = medium_of(self.model)
        assert medium is not None
        return medium

    def encode_media(self, files: Sequence[Any], *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
        """The unit vectors of files; see `nearfar.models.towers.reading.encode_media`."""
        from nearfar.models.towers.reading import encode_media

        return encode_media(self.model, files, self.medium, batch_size=batch_size)
