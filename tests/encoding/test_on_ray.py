"""Encoding on a Ray of two workers: the same bytes, also when a worker or the command is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest

from nearfar.data.streams import TextStream
from nearfar.encoding import Encoder, OnRay, encode_file_on_ray
from nearfar.encoding.on_ray import require_ray
from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.encoding_files import encode_file
from nearfar.models.encoding_windows import encode_windows
from nearfar.models.stored_arrays import StoredArrays

# Windows of 32 texts.
TEXTS = [" ".join(["cat", "dog", "bird"][i % 3] for _ in range(1 + i * 7 % 13)) + f" {i % 10}" for i in range(3_000)]


def test_what_to_install_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.encoding.on_ray.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install .nearfar\[ray\]") as error:
        require_ray()
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="ray"):
        encode_file_on_ray("actions", TEXTS, tmp_path / "v.npy")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to the connection and to the workers of a Ray that is not started; windows are encoded here."""
    found: list[str] = []

    @contextmanager
    def connected(*_: object) -> Iterator[None]:
        found.append("connected")
        yield
        found.append("disconnected")

    def encoded(windows: Iterator[Any], arguments: dict[str, Any], workers: int, gpus: float) -> Iterator[Any]:
        found.append("workers")
        encoder = Encoder(**arguments)
        try:
            for number, window in list(windows):
                yield number, window, encoder({"text": window})["vector"]
        finally:
            found.append("closed")

    monkeypatch.setattr("nearfar.encoding.on_ray.find_spec", lambda name: name)
    monkeypatch.setattr("nearfar.encoding.on_ray.connected", connected)
    monkeypatch.setattr("nearfar.encoding.on_ray._encoded", encoded)
    return found


def test_calls_share_a_connection_that_is_made_when_needed(events: list[str], tiny_model, tiny_model_folder) -> None:
    texts, options = TEXTS[:100], {"size": 32, "kind": "query", "batch_size": 4}
    right = list(encode_windows(tiny_model, texts, **options))
    with OnRay() as ray:
        encode = ray.of(tiny_model_folder)
        assert events == []
        for _ in range(2):
            found = list(encode(tiny_model, texts, **options))
            assert [window for window, _ in found] == [window for window, _ in right]
            for (_, vectors), (_, expected) in zip(found, right, strict=True):
                np.testing.assert_allclose(vectors, expected, atol=1e-6)
        unfinished = encode(tiny_model, texts, **options)
        next(unfinished)
    # Workers end with the windows: the next ones need the processors.
    once = ["connected", "workers", "closed"]
    assert events == once + once + once + ["disconnected"] * 3
    events.clear()
    list(OnRay().of(tiny_model_folder)(tiny_model, texts, **options))
    assert events == [*once, "disconnected"]


def test_vectors_that_are_stored_need_no_ray(events: list[str], tiny_model, tiny_model_folder, tmp_path: Path) -> None:
    stored = StoredArrays(tmp_path / "stored")
    right = np.concatenate([vectors for _, vectors in encode_windows(tiny_model, TEXTS[:70], size=32, stored=stored)])
    encode = OnRay().of(tiny_model_folder)
    found = encode(tiny_model, TEXTS[:70], size=32, stored=stored)
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in found]), right)
    assert events == []
    (first, *_) = stored.folder.iterdir()
    first.unlink()
    found = encode(tiny_model, TEXTS[:70], size=32, stored=stored)
    np.testing.assert_allclose(np.concatenate([vectors for _, vectors in found]), right, atol=1e-6)
    assert events == ["connected", "workers", "closed", "disconnected"]


def test_workers_find_a_folder_from_other_directories(
    events: list[str], tiny_model, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model_folder.parent)
    windows = OnRay().of(tiny_model_folder.name)(tiny_model, TEXTS[:3])
    monkeypatch.chdir(tmp_path)
    texts, vectors = next(windows)
    assert (texts, vectors.shape) == (TEXTS[:3], (3, 32))


def test_what_workers_cannot_load_is_refused(events: list[str], tiny_model, tiny_model_folder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--workers"):
        OnRay(workers=0)
    encode = OnRay().of(tiny_model_folder)
    (tmp_path / "t.jsonl").write_text('{"text": "a cat"}')
    with pytest.raises(InputError, match="--stream"):
        encode(tiny_model, TextStream(tmp_path / "t.jsonl"))
    with pytest.raises(InputError, match="--ray"):
        encode(tiny_model, TEXTS, column="image")
    with pytest.raises(InputError, match="model"):
        OnRay().of(None)(tiny_model, TEXTS)
    assert events == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray of two processors on this machine; its raylet is a child of this process."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of all vectors, from this process alone."""
    folder = tmp_path_factory.mktemp("whole")
    for suffix in (".npy", ".parquet"):
        encode_file(load("actions"), TEXTS, folder / f"v{suffix}", batch_size=1, kind="document", prompt="the ")
    return folder


def encode_there(out: Path, **options: Any) -> tuple[int, int]:
    return encode_file_on_ray("actions", TEXTS, out, batch_size=1, kind="document", prompt="the ", **options)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_two_workers_write_the_bytes_of_one_process(cluster, whole: Path, tmp_path: Path, suffix: str) -> None:
    seen: list[int] = []
    out = tmp_path / f"v{suffix}"
    assert encode_there(out, progress=lambda done, _: seen.append(done)) == (3_000, 256)
    assert out.read_bytes() == (whole / out.name).read_bytes()
    assert seen == [*range(32, 3_000, 32), 3_000]
    assert list(tmp_path.iterdir()) == [out]
    assert cluster.is_initialized()


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(cluster, whole: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if not killed and done >= 320:
            workers = [
                each
                for each in psutil.Process().children(recursive=True)
                if "MapWorker" in " ".join(each.cmdline()) and each.status() != psutil.STATUS_ZOMBIE
            ]
            workers[0].kill()
            killed.append(workers[0].pid)

    out = tmp_path / "v.parquet"
    encode_there(out, progress=kill_one)
    assert len(killed) == 1
    assert out.read_bytes() == (whole / out.name).read_bytes()


@pytest.mark.slow
def test_an_interrupted_command_is_resumed(
    cluster, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 320:
            raise KeyboardInterrupt

    out = tmp_path / "v.npy"
    with pytest.raises(KeyboardInterrupt):
        encode_there(out, progress=interrupt)
    assert not out.exists()
    put, sent = cluster.put, []

    def counted(value: Any) -> Any:
        if isinstance(value, pa.Table):
            sent.append(value.num_rows)
        return put(value)

    monkeypatch.setattr(cluster, "put", counted)
    encode_there(out)
    assert sum(sent) == 3_000 - 320
    assert out.read_bytes() == (whole / out.name).read_bytes()
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_the_encoder_maps_batches_of_ray_data(cluster) -> None:
    rows = cluster.data.from_items([{"text": text, "id": row} for row, text in enumerate(TEXTS[:50])])
    found = rows.map_batches(Encoder, fn_constructor_kwargs={"model": "actions"}, batch_size=20, concurrency=1)
    vectors = {row["id"]: row["vector"] for row in found.take_all()}
    right = load("actions").encode(TEXTS[:50], normalize_embeddings=True)
    np.testing.assert_allclose(np.stack([vectors[row] for row in range(50)]), right, atol=1e-6)


@pytest.mark.slow
def test_mistakes_are_one_line(cluster, tmp_path: Path) -> None:
    out = tmp_path / "v.npy"
    with pytest.raises(InputError, match="row 2"):
        encode_file_on_ray("actions", ["a", None], out)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="--workers"):
        encode_there(out, workers=3)
    with pytest.raises(InputError, match="--gpus-per-worker"):
        encode_there(out, gpus=1)
    assert not out.exists()
