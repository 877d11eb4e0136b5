"""Reads the weight files of CTranslate2 (`model.bin`), version 6, without the library.

Little-endian, without padding. A string is its length (2 bytes), its characters, and a zero byte, which is counted:

    version (4)   name of the specification (string)   revision (4)
    number of variables (4), then for each
        name (string)   rank (1)   size of each dimension (4)   type (1)   number of bytes (4)   values, row by row
    number of aliases (4), then for each: name (string)   name of its variable (string)

The values are copied as they are, and nothing in a file is run. Every length is compared with what remains of the file
before it is used, so a file cannot make the reader use more memory than its own size.

Source: `ModelSpec._serialize` of CTranslate2, github.com/OpenNMT/CTranslate2/blob/master/python/ctranslate2/specs.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from nearfar.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VERSION", "Variables", "read_variables"]

#: The version of the format that is read.
VERSION = 6
# Types by their number in a file, as names of torch.
_TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_REMEDY = "copy the file, or install its package, again"


class Variables(NamedTuple):
    """The content of a file.

    Args:
        specification: The class that describes the model, such as `WhisperSpec`.
        revision: Revision of this class.
        tensors: The variables by name, in the types of the file.
        aliases: Other names of variables.
    """

    specification: str
    revision: int
    tensors: dict[str, Tensor]
    aliases: dict[str, str]


def read_variables(file: Path) -> Variables:
    """Read a weight file of CTranslate2.

    Raises:
        InputError: The file cannot be read, is of another version, is truncated, or contains invalid lengths or names.
    """
    try:
        with open(file, "rb") as stream:
            return _Reader(stream, file).read()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=file, remedy=_REMEDY) from error


class _Reader:
    """Reads one open file.

    Args:
        stream: The file.
        file: Its path, for messages.
    """

    def __init__(self, stream: IO[bytes], file: Path) -> None:
        self._stream, self._file = stream, file
        self._remaining = stream.seek(0, 2)
        stream.seek(0)

    def read(self) -> Variables:
        version = self._number("I", "the version")
        if version != VERSION:
            raise self._error(f"expected version {VERSION} of CTranslate2's format, got {version}")
        specification = self._string("the name of the specification")
        revision = self._number("I", "the revision")
        tensors: dict[str, Tensor] = {}
        for place in range(1, self._number("I", "the number of variables") + 1):
            name = self._string(f"the name of variable {place}")
            if name in tensors:
                raise self._error(f"duplicate variable {name!r}")
            tensors[name] = self._tensor(name)
        aliases: dict[str, str] = {}
        for place in range(1, self._number("I", "the number of aliases") + 1):
            name, of = self._string(f"the name of alias {place}"), self._string(f"the variable of alias {place}")
            if name in tensors or name in aliases:
                raise self._error(f"duplicate alias {name!r}")
            if of not in tensors:
                raise self._error(f"alias {name!r} of {of!r}, which does not exist")
            aliases[name] = of
        if self._remaining:
            raise self._error(f"expected the end of the file, got {self._remaining:,} more bytes")
        return Variables(specification, revision, tensors, aliases)

    def _tensor(self, name: str) -> Tensor:
        import torch

        what = f"variable {name!r}"
        rank = self._number("B", what)
        shape = [self._number("I", what) for _ in range(rank)]
        number = self._number("B", what)
        if number >= len(_TYPES):
            raise self._error(f"{what}: invalid type {number}: must be less than {len(_TYPES)}")
        dtype: torch.dtype = getattr(torch, _TYPES[number])
        size, expected = self._number("I", what), math.prod(shape) * dtype.itemsize
        if size != expected:
            raise self._error(f"{what}: expected {expected:,} bytes for its shape {tuple(shape)}, got {size:,}")
        values = bytearray(self._bytes(size, what))
        # torch cannot make a tensor of an empty buffer.
        return torch.frombuffer(values, dtype=dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)

    def _string(self, what: str) -> str:
        value = self._bytes(self._number("H", what), what)
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._error(f"{what} is not valid UTF-8") from error
        if len(text) < 2 or text.find("\0") != len(text) - 1:
            raise self._error(f"{what} is not a string that ends with a zero byte")
        return text[:-1]

    def _number(self, code: str, what: str) -> int:
        """An unsigned number: `B` of one byte, `H` of two, `I` of four."""
        return struct.unpack(f"<{code}", self._bytes(struct.calcsize(f"<{code}"), what))[0]

    def _bytes(self, count: int, what: str) -> bytes:
        if count > self._remaining:
            raise self._error(f"is truncated: expected {count:,} bytes for {what}, got {self._remaining:,}")
        value = self._stream.read(count)
        if len(value) != count:
            raise self._error(f"is truncated: expected {count:,} bytes for {what}, got {len(value):,}")
        self._remaining -= count
        return value

    def _error(self, problem: str) -> InputError:
        return InputError(problem, file=self._file, remedy=_REMEDY)
