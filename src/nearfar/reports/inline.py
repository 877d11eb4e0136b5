"""What lets one HTML file contain everything it needs: assets, data as JSON, and a policy that forbids the rest."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import metadata, resources

from markupsafe import Markup


@cache
def asset(package: str, path: str) -> str:
    """The text of a file inside a package, without surrounding white space; ``path`` uses forward slashes."""
    place = resources.files(package)
    for part in path.split("/"):
        place = place.joinpath(part)
    return place.read_text("utf-8").strip()


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy that allows exactly this style sheet and this script, and no request."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_sha256(style)}'",
            f"script-src '{_sha256(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def script_json(value: object) -> Markup:
    """JSON that cannot end the script element around it: markup characters are written as escapes.

    Raises:
        ValueError: ``value`` contains NaN or an infinity.
        TypeError: ``value`` is not made of JSON's types.
    """
    text = json.dumps(value, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def version() -> str:
    """The version of nearfar, for the foot of a page."""
    return metadata.version("nearfar")


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
