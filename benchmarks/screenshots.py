"""Screenshots of real pages for the README; runs the commands whose pages are missing.

    python benchmarks/screenshots.py --work /tmp/pages --out docs/images

Requires Chromium and Pillow. The rows are Python's own documentation and the calls in examples/, so nothing is
downloaded. The runs take about ten minutes on two cores. --again repeats all runs.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from nearfar.demo.docstrings import harvest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from chromium import Chromium  # noqa: E402 (the browser of the tests)

MOST_BYTES = 200_000
STEPS = "--set max_length=48 --set learning_rate=5e-5"
DATA = "--data train.jsonl --eval held.jsonl"
COMMANDS = {
    "training/report.html": f"train infonce {DATA} {STEPS} --set max_steps=48 --set eval_steps=12 --out training",
    "compare/report.html": f"compare infonce simcse multicsr dialog2flow {DATA} {STEPS} --seeds 2 --out compare",
    "inspect/report.html": "inspect minilm --data labelled.jsonl --layers none --dims none --out inspect",
    "flow.html": "flow calls.jsonl --actions 10 --out flow.html",
}


class Shot(NamedTuple):
    """A screenshot: its page, the size of the window, and the heading at its top."""

    page: str
    width: int
    height: int
    scheme: str = "light"
    top: str | None = None


SHOTS = {
    "training": Shot("training/report.html", 880, 1180),
    "compare": Shot("compare/report.html", 880, 1180),
    "inspect": Shot("inspect/report.html", 880, 1180),
    "inspect-map": Shot("inspect/report.html", 880, 600, "dark", "Map"),
    "flow": Shot("flow.html", 1440, 860),
    "phone": Shot("compare/report.html", 390, 844, "dark"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--again", action="store_true", help="repeat all runs")
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    rows(args.work)
    for page, command in COMMANDS.items():
        if args.again and (args.work / page).exists():
            shutil.rmtree(args.work / page.split("/")[0]) if "/" in page else (args.work / page).unlink()
        if not (args.work / page).exists():
            print(command, flush=True)
            subprocess.run([sys.executable, "-m", "nearfar", *shlex.split(command)], cwd=args.work, check=True)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        browser = Chromium(shutil.which("chromium") or shutil.which("google-chrome") or "chromium", Path(profile))
        try:
            for name, shot in SHOTS.items():
                print(args.out / f"{name}.png", take(browser, args.work, shot, args.out / f"{name}.png"))
        finally:
            browser.close()


def rows(folder: Path) -> None:
    """Pairs of a function's summary and its documentation, with held-out modules; and summaries with their module."""
    entries = harvest()
    draw = random.Random(0)
    draw.shuffle(entries)
    modules = sorted({entry.module for entry in entries})
    draw.shuffle(modules)
    held = set(modules[: len(modules) // 3])
    parts: dict[bool, list[dict[str, str]]] = {True: [], False: []}
    seen: set[str] = set()
    for entry in entries:
        if not {entry.summary, entry.text} & seen:
            seen |= {entry.summary, entry.text}
            parts[entry.module in held].append({"anchor": entry.summary, "positive": entry.text})
    largest = sorted(held, key=lambda module: -sum(entry.module == module for entry in entries))[:5]
    labelled = [{"text": entry.summary, "label": entry.module} for entry in entries if entry.module in largest]
    files = {"train": parts[False][:1024], "held": parts[True][:700], "labelled": labelled[:800]}
    for name, written in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written), "utf-8")
    shutil.copy(ROOT / "examples" / "data" / "calls.jsonl", folder)


def take(browser: Chromium, work: Path, shot: Shot, target: Path) -> int:
    """Take a screenshot, with as many colours as the maximum size allows; returns its size in bytes."""
    browser.call("Emulation.setScrollbarsHidden", hidden=True)
    browser.open((work / shot.page).resolve(), width=shot.width, height=shot.height, scheme=shot.scheme)
    if shot.top is not None:
        heading = (
            f"[...document.querySelectorAll('h2, h3')].find((h) => h.textContent.includes({json.dumps(shot.top)}))"
        )
        browser.evaluate(f"{heading}.scrollIntoView({{block: 'start', behavior: 'instant'}})")
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    if problems := browser.problems:
        raise SystemExit(f"{shot.page}: {problems}")
    raw = target.with_suffix(".raw.png")
    browser.screenshot(raw)
    picture = Image.open(io.BytesIO(raw.read_bytes())).convert("RGB")
    raw.unlink()
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size < MOST_BYTES:
            return target.stat().st_size
    raise SystemExit(f"{target} is larger than {MOST_BYTES:,} bytes; make the window smaller")


if __name__ == "__main__":
    main()
