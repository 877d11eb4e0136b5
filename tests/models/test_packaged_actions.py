"""The encoder of actions that is part of the package: its files, and what is near for it."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.data.files import sha256
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.models.fingerprint import fingerprint
from nearfar.models.loading import find

MOST_BYTES = 10_000_000
#: Of the layers; the hash of the word pieces is in `nearfar.models.ALIASES`.
HASHES = {
    "1_Dense/model.safetensors": "5d0e38f5c6752ecfb58cbcbce112febf3f032a91b4c15fbaa41cad56b5281946",
    "2_Dense/model.safetensors": "19877829fe675deaec1b37602306bba5ac33e7247db65a90a6f4f1c6c1af77ca",
}
#: Utterances that do the same in different domains, with words that do not overlap in content.
PAIRS = [
    ("Which city should I search in?", "In what town do you want to look for a dentist?"),
    ("Goodbye, have a nice day.", "Bye, have a great evening!"),
    ("Yes, that is right.", "Yep, sounds correct."),
    ("How much does the ticket cost?", "What is the price of a haircut?"),
    ("Your table is reserved.", "Your appointment has been booked."),
]


def test_the_folder_is_small_and_is_the_published_one():
    folder = find("actions")
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert {name: sha256(folder / name) for name in HASHES} == HASHES
    card = (folder / "README.md").read_text("utf-8")
    assert all(name in card for name in ("CC BY-SA 4.0", "CDLA-Permissive", "Apache-2.0"))
    assert not [file for file in files if file.suffix not in {".json", ".md", ".safetensors"}]


def test_what_does_the_same_is_nearer_than_what_does_something_else():
    texts = [text for pair in PAIRS for text in pair]
    similarities = (lambda x: x @ x.T)(encode(load("actions", device="cpu"), texts))
    np.fill_diagonal(similarities, -1)
    nearest = similarities.argmax(1)
    # Chance is one in nine.
    assert np.mean(nearest == np.arange(len(texts)) ^ 1) >= 0.5


def test_texts_are_truncated_to_max_length():
    short = load("actions", device="cpu", max_length=4)
    np.testing.assert_allclose(*encode(short, ["what is the time please", "what is the time"]), atol=1e-6)
    whole = load("actions", device="cpu")
    assert not np.allclose(*encode(whole, ["what is the time please", "what is the time"]))
    assert fingerprint(short) != fingerprint(whole), "stored vectors are of one length"


@pytest.mark.parametrize("text", ["", "🙂", "予約", "0" * 1000])
def test_a_text_without_known_words_has_a_vector(text: str):
    assert np.isclose(np.linalg.norm(encode(load("actions", device="cpu"), [text])), 1)
