"""Which tower encodes which column."""

from __future__ import annotations

from pathlib import Path

from sentence_transformers import SentenceTransformer

from nearfar.models import load
from nearfar.models.towers import two_towers
from nearfar.models.towers.columns import column_routes
from nearfar.models.towers.texts import split_towers


def test_one_tower_needs_no_routes(tiny_model: SentenceTransformer) -> None:
    assert column_routes(tiny_model, ["anchor", "positive"]) == {}


def test_files_go_to_the_tower_of_their_name_and_all_else_is_text(tiny_model_folder: Path) -> None:
    model = two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu")
    found = column_routes(model, ["image", "text", "caption", "audio"])
    assert found == {"image": "image", "text": "text", "caption": "text", "audio": "text"}


def test_the_first_text_is_the_query(tiny_model_folder: Path) -> None:
    model = load(tiny_model_folder, device="cpu")
    split_towers(model)
    found = column_routes(model, ["anchor", "positive", "negative"])
    assert found == {"anchor": "query", "positive": "document", "negative": "document"}
