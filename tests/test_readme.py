"""The README's code runs, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from nearfar.cli.app import run

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_the_kernel_example_runs() -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    kernel = next(example for example in examples if "from nearfar import contrast" in example)
    exec(compile(kernel, "README.md", "exec"), {})


def test_its_commands_and_their_options_exist(capsys) -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    lines = re.findall(r"^nearfar (\w+)(.*)$", blocks, re.MULTILINE)
    assert len(lines) >= 6
    for command, rest in lines:
        inner = rest.split()[:1] if command == "refine" else []
        assert run([command, *inner, "--help"]) == 0
        known = capsys.readouterr().out
        for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
            assert option in known, f"nearfar {command} has no {option}"
