"""Time until a command answers: `nearfar --help`, `nearfar recipes` and others, and `import nearfar`.

    python benchmarks/speed/startup.py [--rounds 9] [--out FILE]

Each is a new process, whose modules are compiled already. Beside them, for comparison: Python alone, and the import of
sentence-transformers. The contestants take turns; the result is the median over the rounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from _timing import interleaved, summary, surroundings, write

#: What Python runs, by the name of the contestant.
CONTESTANTS = {
    "nearfar --help": ("-m", "nearfar", "--help"),
    "nearfar recipes": ("-m", "nearfar", "recipes"),
    "nearfar recipes infonce": ("-m", "nearfar", "recipes", "infonce"),
    "nearfar train --help": ("-m", "nearfar", "train", "--help"),
    "nearfar compare --help": ("-m", "nearfar", "compare", "--help"),
    "import nearfar": ("-c", "import nearfar"),
    "python -c pass": ("-c", "pass"),
    "import sentence_transformers": ("-c", "import sentence_transformers"),
}


def started(compiled: str, arguments: tuple[str, ...]) -> None:
    """Run Python with these arguments to its end; compiled modules are in the folder `compiled`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = compiled
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-startup.json")
    args = parser.parse_args()
    about = surroundings("nearfar", "typer", "sentence-transformers")
    with tempfile.TemporaryDirectory() as compiled:
        runs: dict[str, Callable[[], None]] = {name: partial(started, compiled, of) for name, of in CONTESTANTS.items()}
        seconds = interleaved(runs, args.rounds)
    found = {name: summary(of) for name, of in seconds.items()}
    for name, of in found.items():
        print(f"{of['median_s']:6.2f} s  {name}")
    write(args.out, {"what": "Time of a new process until it ends", **about, "processes": found})


if __name__ == "__main__":
    main()
