"""Vectors from a matrix or a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.inspection.sample import Sample
from nearfar.inspection.sampling import draw_sample
from nearfar.inspection.vector_files import is_vectors, read_vectors

from .helpers import pairs, random_unit


@pytest.fixture
def sample() -> Sample:
    """Ten of twenty rows."""
    return draw_sample(Dataset.from_dict({"text": [f"t{i}" for i in range(20)]}), 10)


def test_the_rows_of_the_sample_at_unit_length(sample: Sample, tmp_path: Path) -> None:
    matrix = 3 * random_unit(20, 4)
    np.save(tmp_path / "v.npy", matrix)
    pq.write_table(pa.table({"vector": matrix.tolist()}), tmp_path / "v.parquet", row_group_size=7)
    expected = random_unit(20, 4)[list(sample.sides[0].origins)]
    for source in (matrix, tmp_path / "v.npy", str(tmp_path / "v.parquet")):
        assert is_vectors(source)
        (found,) = read_vectors(source, sample)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not is_vectors("minilm")


def test_a_matrix_that_does_not_fit(sample: Sample) -> None:
    matrix = random_unit(20, 4)
    for wrong in (matrix[:-1], matrix[0], matrix.astype(int), np.where(np.eye(20, 4) > 0, np.nan, matrix)):
        with pytest.raises(InputError):
            read_vectors(wrong, sample)
    with pytest.raises(InputError):
        read_vectors(matrix, draw_sample(pairs(20), 10))


@pytest.mark.parametrize("name", ["v.npy", "v.parquet"])
def test_a_file_that_does_not_fit(name: str, sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / name
    for content in (None, b"not vectors", random_unit(19, 4)):
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None and name == "v.npy":
            np.save(path, content)
        elif content is not None:
            pq.write_table(pa.table({"vector": content.tolist()}), path)
        with pytest.raises(InputError) as error:
            read_vectors(path, sample)
        assert Path(str(error.value.file)) == path


def test_parquet_needs_a_column_of_vectors_of_one_width(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    sample = draw_sample(Dataset.from_dict({"text": ["a", "b", "c"]}), 10)
    for table in ({"other": [[1.0, 2.0]] * 3}, {"vector": [[1.0, 2.0], [1.0, 2.0], [1.0]]}):
        pq.write_table(pa.table(table), path)
        with pytest.raises(InputError) as error:
            read_vectors(path, sample)
        assert error.value.field == "vector"
