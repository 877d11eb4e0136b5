"""Run claims one after another, from one command that can be interrupted and repeated.

    python benchmarks/run.py --list
    python benchmarks/run.py --claims all [--seeds 5] [--jobs 2]
    python benchmarks/run.py --claims simcse,dse

A claim that is done is not run again when the same command is repeated after an interruption; the one that was
interrupted continues with the arms that are missing. A claim that fails is reported, and the others are run. Claims
read their datasets from the folder named by NEARFAR_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CLAIMS, RESULTS = HERE / "claims", HERE / "results"
#: What the interrupted command was, and which of its claims are done.
STATE = RESULTS / ".run.json"


def names() -> list[str]:
    """The names of all claims."""
    return sorted(path.stem for path in CLAIMS.glob("[a-z]*.py"))


def result(name: str) -> dict[str, Any]:
    """The last result of a claim; empty without one."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def duration(name: str) -> str:
    """How long the last run of a claim took, added up over its processes."""
    minutes = result(name).get("minutes")
    return "not measured" if minutes is None else f"{minutes:.0f} min"


def chosen(wanted: str) -> list[str]:
    """The claims of `--claims`."""
    known = names()
    if wanted == "all":
        return known
    found = [name.strip() for name in wanted.split(",")]
    if unknown := [name for name in found if name not in known]:
        sys.exit(f"unknown claim {', '.join(unknown)}: must be all, or one or more of {', '.join(known)}")
    return found


def started(command: dict[str, Any]) -> dict[str, Any]:
    """The state of this command, with the claims that are done if it was interrupted."""
    known = json.loads(STATE.read_text("utf-8")) if STATE.exists() else {}
    return known if known.get("command") == command else {"command": command, "done": []}


def saved(state: dict[str, Any]) -> None:
    draft = STATE.with_name(f"{STATE.name}.{os.getpid()}")
    draft.write_text(json.dumps(state), "utf-8")
    os.replace(draft, STATE)


def run(claims: list[str], seeds: int, jobs: int) -> int:
    """Run the claims that are not done; the number of those that failed."""
    state = started({"claims": claims, "seeds": seeds})
    failed = []
    for number, name in enumerate(claims, 1):
        place = f"[{number}/{len(claims)}] {name}"
        if name in state["done"]:
            print(f"{place}: already done", flush=True)
            continue
        print(f"{place}: started; the last run took {duration(name)}", flush=True)
        begin = time.monotonic()
        script = [sys.executable, str(CLAIMS / f"{name}.py"), "--seeds", str(seeds), "--jobs", str(jobs)]
        code = subprocess.run(script, check=False).returncode
        took = (time.monotonic() - begin) / 60
        if code:
            failed.append(name)
            print(f"{place}: failed with exit code {code} after {took:.1f} min", flush=True)
        else:
            state["done"].append(name)
            saved(state)
            print(f"{place}: {result(name)['verdict']} after {took:.1f} min", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}; repeat the command to continue with them")
    else:
        STATE.unlink(missing_ok=True)
    return len(failed)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run claims one after another.")
    parser.add_argument("--claims", help="all, or names with commas between them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="processes that share a claim")
    parser.add_argument("--list", action="store_true", help="the claims, their last results and how long they took")
    options = parser.parse_args()
    if options.list:
        for name in names():
            print(f"{name:20} {duration(name):>14}  {result(name).get('verdict', 'no result')}")
    elif options.claims:
        sys.exit(1 if run(chosen(options.claims), options.seeds, options.jobs) else 0)
    else:
        parser.error("use --claims or --list")


if __name__ == "__main__":
    main()
