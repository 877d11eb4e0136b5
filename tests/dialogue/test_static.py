"""The page's scripts, tested by node without a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parent / "static").glob("*.test.mjs"))


@pytest.fixture(scope="module")
def node() -> str:
    """The path of node, 18 or later: the first release with its own test runner."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 18:
        pytest.skip(f"node {version.strip()} has no test runner")
    return found


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.name)
def test_scripts(node: str, file: Path):
    done = subprocess.run([node, "--test", "--test-reporter=tap", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # Passes are counted, for a file without tests passes too.
    assert int(re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)[-1]) >= 5
