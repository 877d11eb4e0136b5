"""Hook for mkdocs: pages generated from the code, and figures in the pages that are written by hand.

`recipes/` gets a page for each recipe, from its own metadata. In any page

    {{ near: EXPRESSION }}, {{ far: EXPRESSION }}   become a figure of P or F, computed by the builder itself
    {{ api: MODULE }}                               becomes the documentation of the module's public names
    {{ evidence: RECIPE }}                          becomes the verdict on the claim of its paper
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# mkdocs loads only this file; the others are next to it.
sys.path.insert(0, str(Path(__file__).parent))

import matrices
import public_names
import recipe_pages
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

WISH = re.compile(r"\{\{ (near|far|api|evidence): (.+?) \}\}")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the recipes' pages in the navigation."""
    assert config.nav is not None
    config.nav = [{"Recipes": list(recipe_pages.pages())} if "Recipes" in item else item for item in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the recipes' pages."""
    for path, text in recipe_pages.pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace each placeholder."""
    seen: set[str] = set()

    def made(found: re.Match[str]) -> str:
        kind, what = found.groups()
        if kind == "evidence":
            return recipe_pages.evidence_of(what)
        return public_names.entries(what, seen) if kind == "api" else matrices.picture(kind, what)

    return WISH.sub(made, markdown)
