"""CTranslate2's format: what a file contains, and every way in which a file can be wrong."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import pytest
import torch

from nearfar.errors import InputError
from nearfar.models.whisper.ctranslate2 import read_variables
from whisper.helpers import content_of, string, variable

VARIABLES = {
    "encoder/weight": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4,
    "encoder/half": torch.tensor([1.5, -2.0, 65504.0]).half(),
    "encoder/brain": torch.tensor([[3.0]]).bfloat16(),
    "encoder/quantized": torch.tensor([-128, 127], dtype=torch.int8),
    "encoder/num_heads": torch.tensor(6, dtype=torch.int16),
    "encoder/large": torch.tensor([-70000], dtype=torch.int32),
    "encoder/empty": torch.empty(0, 3),
}
ALIASES = {"decoder/weight": "encoder/weight"}
START = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<I", 3)


def read(content: bytes, folder: Path):
    file = folder / "model.bin"
    file.write_bytes(content)
    return read_variables(file)


def test_round_trip(tmp_path: Path):
    found = read(content_of(VARIABLES, ALIASES), tmp_path)
    assert (found.specification, found.revision, found.aliases) == ("WhisperSpec", 3, ALIASES)
    assert list(found.tensors) == list(VARIABLES)
    for name, value in VARIABLES.items():
        assert found.tensors[name].dtype == value.dtype
        assert torch.equal(found.tensors[name], value)


def test_the_bytes_of_a_small_file(tmp_path: Path):
    by_hand = (
        b"\x06\0\0\0" + b"\x05\0Spec\0" + b"\x02\0\0\0" + b"\x01\0\0\0"
        b"\x02\0w\0" + b"\x01" + b"\x02\0\0\0" + b"\x04" + b"\x04\0\0\0" + b"\x00\x3c\x00\xc0" + b"\0\0\0\0"
    )
    found = read(by_hand, tmp_path)
    assert (found.specification, found.revision) == ("Spec", 2)
    assert found.tensors["w"].tolist() == [1.0, -2.0]


def test_a_file_truncated_anywhere(tmp_path: Path):
    whole = content_of(VARIABLES, ALIASES)
    for length in range(len(whole)):
        with pytest.raises(InputError, match=r"model\.bin: is truncated: ") as caught:
            read(whole[:length], tmp_path)
        assert "\n" not in str(caught.value)


def test_damaged_bytes_give_an_error_or_numbers(tmp_path: Path):
    whole, draw = content_of(VARIABLES, ALIASES), random.Random(0)
    refused = 0
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            read(bytes(damaged), tmp_path)
        except InputError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (content_of(VARIABLES, version=5), "version 6.* got 5"),
        (b"PK\x03\x04" + bytes(100), "version 6"),
        (content_of(VARIABLES) + b"\0", "1 more bytes"),
        (content_of(VARIABLES, {"a": "no such variable"}), "no such variable"),
        (content_of(VARIABLES, {"encoder/half": "encoder/weight"}), "duplicate alias"),
        (START + struct.pack("<I", 2) + 2 * variable("twice", torch.ones(1)), "duplicate variable 'twice'"),
        (START + struct.pack("<I", 4_000_000_000), "truncated"),
        (START + struct.pack("<I", 1) + string("w") + struct.pack("<BIBI", 1, 1, 6, 4), "type 6"),
        (START + struct.pack("<I", 1) + string("w") + struct.pack("<BIBI", 1, 3, 4, 4), "expected 6 bytes"),
        (START + struct.pack("<I", 1) + string("w") + struct.pack("<B255I", 255, *[2**32 - 1] * 255), "truncated"),
        (START + struct.pack("<I", 1) + struct.pack("<H", 65_535), "truncated"),
        (START + struct.pack("<I", 1) + b"\x03\0\xff\xfe\0", "UTF-8"),
        (START + struct.pack("<I", 1) + b"\x02\0ab", "zero byte"),
        (START + struct.pack("<I", 1) + b"\x04\0a\0b\0", "zero byte"),
        (START + struct.pack("<I", 1) + b"\x01\0\0", "zero byte"),
        (b"", "truncated"),
    ],
)
def test_what_is_not_of_the_format(content: bytes, problem: str, tmp_path: Path):
    with pytest.raises(InputError, match=problem):
        read(content, tmp_path)


def test_a_size_beyond_the_file_takes_no_memory(tmp_path: Path):
    content = START + struct.pack("<I", 1) + string("w") + struct.pack("<BIBI", 1, 2**30 - 1, 0, 2**32 - 4) + bytes(50)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="truncated"):
            read(content, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read_variables(tmp_path)
