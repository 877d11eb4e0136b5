"""An encoder with views among the other kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nearfar.kinds.loading import class_of, load_kind, of
from nearfar.models.view_encoders import encoder_with_views


def test_it_is_saved_as_an_encoder_and_gives_vectors_of_its_first_view(tiny_model_folder: Path, tmp_path: Path) -> None:
    model, _ = encoder_with_views(str(tiny_model_folder), "text", ("salient", "common"), dims=3)
    kind = of(model.eval())
    kind.save(tmp_path / "model")
    assert (kind.name, class_of(tmp_path / "model").name) == ("encoder", "encoder")
    assert class_of(tmp_path / "model" / "common").name == "encoder"
    loaded = load_kind(tmp_path / "model", device="cpu")
    found = loaded.encode(["a cat", "the sea"])
    assert np.allclose(found, loaded.host.encode(["a cat", "the sea"], task="salient", normalize_embeddings=True))
    assert loaded.fingerprint("model") == kind.fingerprint("model")
    assert {path.name for path in (tmp_path / "model").iterdir() if path.is_dir()} == {"salient", "common"}
