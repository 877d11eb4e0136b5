"""Vectors of many texts and files, written in windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from PIL import Image

from nearfar.errors import InputError
from nearfar.models.encoding import encode
from nearfar.models.encoding_files import encode_file
from nearfar.models.towers import two_towers

# Lengths rise and fall, so that sorting by length and forgetting to undo it cannot pass unseen.
TEXTS = [" ".join(["cat", "dog", "bird"][i % 3] for _ in range(1 + i * 7 % 13)) + f" {i % 10}" for i in range(150)]


@pytest.fixture(scope="module")
def one_by_one(tiny_model) -> np.ndarray:
    return np.stack([tiny_model.encode(text, normalize_embeddings=True) for text in TEXTS])


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
@pytest.mark.parametrize("as_dataset", [False, True])
def test_file_keeps_the_order(tiny_model, one_by_one, tmp_path: Path, suffix: str, as_dataset: bool):
    texts = Dataset.from_dict({"text": TEXTS}) if as_dataset else TEXTS
    seen: list[tuple[int, int]] = []
    out = tmp_path / "new" / f"vectors{suffix}"
    shape = encode_file(tiny_model, texts, out, batch_size=2, progress=lambda *done: seen.append(done))
    assert shape == (150, 32)
    if suffix == ".npy":
        vectors = np.load(out, mmap_mode="r")
        assert vectors.dtype == np.float32
    else:
        table = pq.read_table(out)
        assert table.column("text").to_pylist() == TEXTS
        assert table.schema.field("vector").type.list_size == 32
        assert pq.ParquetFile(out).num_row_groups == 3  # windows of 64 texts
        vectors = np.array(table.column("vector").to_pylist())
    np.testing.assert_allclose(vectors, one_by_one, atol=1e-6)
    assert seen == [(64, 150), (128, 150), (150, 150)]
    assert [file.name for file in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_a_run_that_fails_leaves_the_earlier_file(tiny_model, tmp_path: Path, suffix: str):
    out = tmp_path / f"vectors{suffix}"
    encode_file(tiny_model, TEXTS[:3], out)
    before = out.read_bytes()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_file(tiny_model, TEXTS, out, batch_size=2, progress=interrupt)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_what_cannot_be_encoded(tiny_model, tmp_path: Path):
    out = tmp_path / "vectors.npy"
    with pytest.raises(InputError, match=r"unknown suffix '\.csv'"):
        encode_file(tiny_model, TEXTS, tmp_path / "vectors.csv")
    with pytest.raises(InputError, match="got none"):
        encode_file(tiny_model, [], out)
    with pytest.raises(InputError, match=r"text: row 3: .*got None"):
        encode_file(tiny_model, Dataset.from_dict({"text": ["a", "b", None]}), out, batch_size=1)
    with pytest.raises(InputError, match=r"'text', got sentence; .*--columns text="):
        encode_file(tiny_model, Dataset.from_dict({"sentence": ["a"]}), out)
    with pytest.raises(InputError, match="batch_size"):
        encode(tiny_model, TEXTS, batch_size=0)
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(InputError, match="got a folder"):
        encode_file(tiny_model, TEXTS, tmp_path / "folder.npy")
    assert not out.exists()


def test_paths_beside_vectors_of_images(tiny_model_folder: Path, tmp_path: Path):
    files = [str(tmp_path / f"{name}.png") for name in "abc"]
    for number, file in enumerate(files):
        Image.new("RGB", (8, 8), (90 * number, 30, 0)).save(file)
    model = two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu")
    rows, seen = Dataset.from_dict({"image": files}), []
    out = tmp_path / "vectors.parquet"
    shape = encode_file(model, rows, out, column="image", batch_size=2, progress=lambda *done: seen.append(done))
    table = pq.read_table(out)
    assert (shape, seen) == ((3, 32), [(2, 3), (3, 3)])
    assert table.column("image").to_pylist() == files
    expected = model.encode([Image.open(file) for file in files], task="image")
    np.testing.assert_allclose(np.array(table.column("vector").to_pylist()), expected, atol=1e-6)
    with pytest.raises(InputError, match="audio"):
        encode_file(model, rows.rename_column("image", "audio"), out, column="audio")
