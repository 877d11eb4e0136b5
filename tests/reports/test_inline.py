"""What a self-contained page is made of."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from nearfar.reports.inline import asset, policy, script_json


def digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def test_the_policy_allows_one_style_sheet_one_script_and_inline_images_only():
    directives = dict(part.split(" ", 1) for part in policy("p {}", "let a;").split("; "))
    assert directives == {
        "default-src": "'none'",
        "style-src": digest("p {}"),
        "script-src": digest("let a;"),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_json_in_a_page_contains_no_markup_and_reads_back():
    value = {"</script>": ["<!--", "a & b", 1.5, None, "é\u2028"]}
    text = script_json(value)
    assert not set(text) & set("<>&")
    assert json.loads(text) == value


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (float("inf"), ValueError), ({1}, TypeError)])
def test_values_that_are_not_json_are_refused(value: object, error: type[Exception]):
    with pytest.raises(error):
        script_json(value)


def test_an_asset_is_a_file_of_a_package():
    text = asset("nearfar.reports", "assets/page.css")
    assert text == text.strip() != ""
    with pytest.raises(FileNotFoundError):
        asset("nearfar.reports", "assets/missing.css")
