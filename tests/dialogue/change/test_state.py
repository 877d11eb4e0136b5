"""The file that keeps a flow's actions."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nearfar.dialogue.change.known import Known
from nearfar.dialogue.change.state import beside, load, save

from ..helpers import refused
from ..planted import known_of, planted

KNOWN = known_of(*planted(30, seed=0))


def test_what_is_saved_is_loaded_again(tmp_path: Path):
    known = replace(KNOWN, names=["é <b>", "", "x", "y"], edits=[{"edit": "rename"}])
    file = beside(tmp_path / "flow.html")
    assert file.name == "flow.html.actions.safetensors"
    save(known, file)
    for given in (file, tmp_path / "flow.html"):
        found = load(given)
        for field in fields(Known):
            value, again = getattr(known, field.name), getattr(found, field.name)
            if isinstance(value, np.ndarray):
                assert again.dtype == value.dtype
                assert (again == value).all()
            else:
                assert again == value
    assert file.read_bytes() == save(load(file), tmp_path / "again.safetensors").read_bytes()


def test_a_missing_or_corrupted_file_is_refused(tmp_path: Path):
    page = tmp_path / "flow.html"
    assert refused(lambda: load(page)) == ("flow.html", None, "--update")
    whole = save(KNOWN, beside(page)).read_bytes()
    for content in (b"", b"{}", whole[:-9], whole[: len(whole) // 2], b"\xff" * 64):
        beside(page).write_bytes(content)
        assert refused(lambda: load(page)) == ("flow.html.actions.safetensors", None, "--update")


def test_other_safetensors_are_refused(tmp_path: Path):
    file = tmp_path / "model.safetensors"
    words = [None, {"nearfar_flow": "[]"}, {"nearfar_flow": json.dumps({"version": 99})}, {"nearfar_flow": "{"}]
    for metadata in words:
        save_file({"weight": np.zeros(3, np.float32)}, file, metadata=metadata)
        assert refused(lambda: load(file)) == ("model.safetensors", None, "--update")


@pytest.mark.parametrize(
    "change",
    [
        {"turn": KNOWN.turn + 4},
        {"outside": np.full_like(KNOWN.outside, 10**6)},
        {"starts": KNOWN.starts + 1},
        {"means": KNOWN.means[:, :3]},
        {"names": ["one"]},
        {"said_by": 1 - KNOWN.said_by},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parts_that_do_not_fit_each_other_are_refused(tmp_path: Path, change: dict[str, object]):
    file = save(replace(KNOWN, **change), tmp_path / "x.safetensors")
    assert refused(lambda: load(file)) == ("x.safetensors", None, "--update")
