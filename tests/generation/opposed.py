"""Prompts with their opposites, of different lengths."""

from __future__ import annotations

from nearfar.generation import Prompt

PROMPTS = [
    Prompt(f"Say it again: {text}\nAnswer:", f"Deny this: {text}\nAnswer:")
    for text in ("the cat sits", "a dog runs on the grass", "sky")
]
