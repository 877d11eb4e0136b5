"""Transcripts of calls: what `nearfar flow` reads."""

from __future__ import annotations

from pathlib import Path

#: What is said, step by step; the last two are of no call.
TEXTS = ["the cat sits", "a dog runs", "pay the bill", "rain today", "play a song", "a lost card"]


def write_calls(folder: Path) -> Path:
    """Six calls of four turns: four utterances, each in two variants, by a caller and an agent in turn."""
    folder.mkdir()
    for number in range(6):
        lines = []
        for step in range(4):
            speaker = ("Caller", "Agent")[step % 2]
            lines.append(f"[00:0{step}] {speaker}: {TEXTS[step]} {'on the mat' if number % 2 else 'in the tree'}")
        (folder / f"{number}.txt").write_text("\n".join(lines))
    return folder
