"""Names of variants, on the command line and in results."""

from __future__ import annotations

import pytest

from nearfar.comparison.request import Request
from nearfar.comparison.variant_names import named, parse_variants
from nearfar.errors import InputError


def test_names_and_sources() -> None:
    given = ["mined=triplets.jsonl", "hub = user/name:config", "odd=a=b.jsonl"]
    assert parse_variants(given) == {"mined": "triplets.jsonl", "hub": "user/name:config", "odd": "a=b.jsonl"}
    assert parse_variants([]) == {}
    assert (named("infonce", "mined"), named("infonce", "")) == ("infonce+mined", "infonce")


@pytest.mark.parametrize("given", [["triplets.jsonl"], ["=a.jsonl"], ["mined="], ["a=x.jsonl", "a=y.jsonl"]])
def test_wrong_names_on_the_command_line(given: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_variants(given)
    assert caught.value.field == "--variant"


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a+b", "a=b"])
def test_a_name_is_part_of_file_names(name: str) -> None:
    Request([], "rows.jsonl", variants={"mined-2.b_c": "a.jsonl"}).check()
    with pytest.raises(InputError) as caught:
        Request([], "rows.jsonl", variants={name: "a.jsonl"}).check()
    assert caught.value.field == "--variant"
