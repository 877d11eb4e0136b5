"""Shards: parts that together have the bytes of the whole, whatever was interrupted, and no others are joined."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from nearfar.data.streams import TextStream
from nearfar.encoding import Shard, encode_shard, join_shards, shards
from nearfar.errors import InputError
from nearfar.models import encoding_windows, load
from nearfar.models.encoding_files import encode_file

# Five windows of 32 texts, and one of 11; lengths rise and fall.
TEXTS = [" ".join(["cat", "dog", "bird"][i % 3] for _ in range(1 + i * 7 % 13)) + f" {i % 10}" for i in range(171)]


@pytest.fixture(scope="module")
def model():
    return load("actions")


def encode_all(model: Any, texts: Any, out: Path, count: int, **options: Any) -> None:
    for number in range(1, count + 1):
        encode_shard(model, texts, out, Shard(number, count), batch_size=1, **options)


@given(st.integers(1, 50), st.integers(1, 500))
def test_shards_are_contiguous_and_of_equal_size(count: int, total: int) -> None:
    parts = [Shard(number, count).windows(total) for number in range(1, count + 1)]
    assert (parts[0].start, parts[-1].stop) == (0, total)
    assert all(one.stop == other.start for one, other in pairwise(parts))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_names() -> None:
    assert Shard.parse("3/8") == (3, 8)
    assert Shard(3, 8).file("x/v.parquet") == Path("x/v.00003-of-00008.parquet")
    for wrong in ("0/8", "9/8", "3", "3/", "-1/8", "1/8 ", "a/b"):
        with pytest.raises(InputError, match="--shard"):
            Shard.parse(wrong)


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
@pytest.mark.parametrize("count", [1, 4, 6])
@pytest.mark.parametrize("read", ["list", "dataset", "stream"])
def test_joined_shards_have_the_bytes_of_one_file(model, tmp_path: Path, suffix: str, count: int, read: str) -> None:
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    texts: Any = {
        "list": lambda: TEXTS,
        "dataset": lambda: Dataset.from_dict({"text": TEXTS}),
        "stream": lambda: TextStream(tmp_path / "texts.jsonl"),
    }[read]()
    options: dict[str, Any] = {"kind": "document", "prompt": "the ", "normalize": False}
    encode_file(model, TEXTS, tmp_path / f"whole{suffix}", batch_size=1, **options)
    out = tmp_path / f"v{suffix}"
    encode_all(model, texts, out, count, **options)
    seen: list[tuple[int, int]] = []
    shape = join_shards(model, texts, out, count, batch_size=1, progress=lambda *done: seen.append(done), **options)
    assert shape == (171, 256)
    assert out.read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    assert seen == [(32, 171), (64, 171), (96, 171), (128, 171), (160, 171), (171, 171)]
    assert not list(tmp_path.glob(".*"))


def test_a_complete_shard_is_not_encoded_again(model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, shard = tmp_path / "v.npy", Shard(2, 3)
    first, encoded = encode_shard(model, TEXTS, out, shard, batch_size=1)
    assert encoded
    assert (first["rows"], first["total"], first["dimension"]) == ([65, 128], 171, 256)
    with monkeypatch.context() as patch:
        patch.setattr(encoding_windows, "encode", lambda *_, **__: pytest.fail("encoded again"))
        assert encode_shard(model, TEXTS, out, shard, batch_size=1) == (first, False)
        # Texts of other shards are not its own.
        assert encode_shard(model, ["other", *TEXTS[1:]], out, shard, batch_size=1) == (first, False)
    for texts, options in (([*TEXTS[:70], "new", *TEXTS[71:]], {}), (TEXTS, {"prompt": "a "}), (TEXTS[:-1], {})):
        assert encode_shard(model, texts, out, shard, batch_size=1, **options)[1]
    shard.file(out).write_bytes(shard.file(out).read_bytes()[:-1])
    assert encode_shard(model, TEXTS[:-1], out, shard, batch_size=1)[1]
    shard.manifest(out).write_text("{")
    assert encode_shard(model, TEXTS[:-1], out, shard, batch_size=1)[1]


def test_an_interrupted_shard_is_resumed(model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, done = encoding_windows.encode, []

    def interrupted(model, texts, **options):
        done.append(texts)
        if len(done) == 3:
            raise KeyboardInterrupt
        return encode(model, texts, **options)

    monkeypatch.setattr(encoding_windows, "encode", interrupted)
    out, shard = tmp_path / "v.npy", Shard(1, 2)
    with pytest.raises(KeyboardInterrupt):
        encode_shard(model, TEXTS, out, shard, batch_size=1)
    assert not shard.file(out).exists()
    assert not shard.manifest(out).exists()
    assert encode_shard(model, TEXTS, out, shard, batch_size=1)[1]
    assert done == [TEXTS[:32], TEXTS[32:64], TEXTS[64:96], TEXTS[64:96]]
    assert not list(tmp_path.glob(".*"))


def test_a_shard_has_its_manifest_when_nothing_else_is_left(
    model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(text: str, path: Path) -> None:
        assert [each.name for each in tmp_path.glob(".*")] == [f".{path.name}.lock"]
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        encode_shard(model, TEXTS, tmp_path / "v.npy", Shard(1, 2), batch_size=1)


def _other_texts(folder: Path) -> None:
    shard = Shard(2, 3)
    lines = json.loads(shard.manifest(folder / "v.npy").read_text())
    shard.manifest(folder / "v.npy").write_text(json.dumps({**lines, "texts_sha256": "0" * 64}))


def _swapped(folder: Path) -> None:
    one, other = Shard(1, 3), Shard(2, 3)
    for name in ("file", "manifest"):
        shutil.copy(getattr(one, name)(folder / "v.npy"), getattr(other, name)(folder / "v.npy"))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda folder: Shard(2, 3).file(folder / "v.npy").unlink(), "00002-of-00003.npy"),
        (lambda folder: Shard(3, 3).manifest(folder / "v.npy").unlink(), "3/3"),
        (lambda folder: Shard(2, 3).file(folder / "v.npy").write_bytes(b""), "00002-of-00003.npy"),
        (lambda folder: Shard(2, 3).manifest(folder / "v.npy").write_text("[]"), "00002-of-00003.json"),
        (_swapped, "rows"),
        (_other_texts, "00002-of-00003.npy"),
    ],
)
def test_what_is_not_whole_is_not_joined(model, tmp_path: Path, damage: Callable[[Path], Any], named: str) -> None:
    out = tmp_path / "v.npy"
    encode_all(model, TEXTS, out, 3)
    damage(tmp_path)
    with pytest.raises(InputError, match=named):
        join_shards(model, TEXTS, out, 3, batch_size=1)
    assert not out.exists()
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"prompt": "the "}, "prompt"),
        ({"kind": "query"}, "as"),
        ({"normalize": False}, "normalize"),
        ({"batch_size": 2}, "batch_size"),
        ({"max_length": 8}, "max_length"),
        ({"texts": TEXTS[:-1]}, "total"),
        ({"texts": [*TEXTS[:-1], "new"]}, "00003-of-00003.npy"),
    ],
)
def test_shards_of_other_options_or_texts_are_not_joined(
    model, tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    out = tmp_path / "v.npy"
    encode_all(model, TEXTS, out, 3)
    texts = options.get("texts", TEXTS)
    rest = {key: value for key, value in options.items() if key != "texts"}
    with pytest.raises(InputError, match=named):
        join_shards(model, texts, out, 3, **{"batch_size": 1, **rest})
    assert not out.exists()


def test_shards_of_another_model_are_not_joined(model, tiny_model, tmp_path: Path) -> None:
    out = tmp_path / "v.npy"
    encode_all(model, TEXTS, out, 2)
    with pytest.raises(InputError, match="model_fingerprint"):
        join_shards(tiny_model, TEXTS, out, 2, batch_size=1)


def test_more_shards_than_windows_are_refused(model, tmp_path: Path) -> None:
    for number in (1, 7):  # the first would be empty, the last would not
        with pytest.raises(InputError, match="at most 6 shards"):
            encode_shard(model, TEXTS, tmp_path / "v.npy", Shard(number, 7), batch_size=1)
    with pytest.raises(InputError, match="got none"):
        encode_shard(model, [], tmp_path / "v.npy", Shard(1, 1))
