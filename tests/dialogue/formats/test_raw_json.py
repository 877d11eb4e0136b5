"""JSON files of chats."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.dialogue.formats.raw_json import first_object, load_json
from nearfar.errors import InputError


@pytest.mark.parametrize(
    ("text", "opening", "found"),
    [
        ('[{"a": 1}, {"b": ', "[", {"a": 1}),
        (' \n[ {"a": [2]}', "[", {"a": [2]}),
        ('{"messages": [{"a": 1}, ', '{"messages": [', {"a": 1}),
        ('{"a": 1}', "[", None),
        ("[1, 2]", "[", None),
        ('[{"a": ', "[", None),
        ("[" + '{"a":' * 100_000, "[", None),
        ("", "[", None),
    ],
    ids=range(8),
)
def test_the_first_object_of_a_list_that_may_be_cut_off(text: str, opening: str, found: dict | None) -> None:
    assert first_object(text, opening) == found


def test_a_file_is_read_or_its_line_named(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    file.write_text('[{"a": 1}]', "utf-8")
    assert load_json(file) == [{"a": 1}]
    file.write_text('[\n{"a": }]', "utf-8")
    with pytest.raises(InputError, match=r"chat\.json:2: .* 7\b"):
        load_json(file)
    file.write_text("[" * 100_000, "utf-8")
    with pytest.raises(InputError, match=r"chat\.json: "):
        load_json(file)
