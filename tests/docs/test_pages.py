"""What the site's pages say follows from the code, and leaves nothing out."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from nearfar import far, near, recipes
from nearfar.cli.app import run

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS / "_pages"))

matrices, public_names, recipe_pages = map(import_module, ("matrices", "public_names", "recipe_pages"))


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_says_its_idea_and_when_to_use_it(name: str) -> None:
    recipe = recipes.get(name)
    assert 2 <= len(re.findall(r"[.!?](?= |$)", recipe.idea)) <= 3
    assert recipe.use_when.endswith(".")
    assert "Expect " in recipe.use_when  # what the evidence says
    page = recipe_pages.pages()[f"recipes/{name}.md"]
    for text in (recipe.idea, recipe.use_when, recipe.paper.title, recipe.paper.url):
        assert text in page


@pytest.mark.parametrize("name", recipes.names())
def test_every_option_of_a_recipe_is_described(name: str) -> None:
    page = recipe_pages.pages()[f"recipes/{name}.md"]
    rows = re.findall(r"^ *\| `(\w+)` \| `([^`]*)` \| (.*) \|$", page, re.MULTILINE)
    assert {option for option, *_ in rows} == set(recipes.get(name).options.__dataclass_fields__)
    assert [option for option, _, text in rows if len(text) < 3] == []


@pytest.mark.parametrize("name", recipes.names())
def test_commands_of_a_recipe_exist_with_their_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = recipe_pages.pages()[f"recipes/{name}.md"]
    blocks = "\n".join(re.findall(r"```(?:sh|text)\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ")
    commands = re.findall(r"^nearfar (\w+)(.*)$", blocks, re.MULTILINE)
    assert ("train", name) in [(command, rest.split()[0]) for command, rest in commands]
    for command, rest in commands:
        assert run([command, "--help"]) == 0
        known = capsys.readouterr().out
        for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
            assert option in known, f"nearfar {command} has no {option}"


def test_citations_are_entries_of_bibtex() -> None:
    entry = recipe_pages.bibtex(recipes.get("infonce").paper)
    assert entry == (
        "@misc{oord2018representation,\n"
        "  title  = {{Representation Learning with Contrastive Predictive Coding}},\n"
        "  author = {{van den Oord} and {Li} and {Vinyals}},\n"
        "  year   = {2018},\n"
        "  url    = {https://arxiv.org/abs/1807.03748},\n"
        "  eprint = {1807.03748},\n"
        "  archivePrefix = {arXiv}\n"
        "}"
    )
    keys = [recipe_pages.bibtex(recipes.get(name).paper).partition(",")[0] for name in recipes.names()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("module", "name"), [(near, "near"), (far, "far")])
def test_the_kernel_page_draws_every_builder(module, name) -> None:
    page = (DOCS / "kernel.md").read_text("utf-8")
    drawn = re.findall(rf"\{{\{{ {name}: (.+?) \}}\}}", page)
    builders = {public for public in module.__all__ if public.islower()}
    assert {builder for builder in builders if not any(f"{name}.{builder}(" in each for each in drawn)} == set()
    # What is said to be drawn is what stands beside the drawing.
    assert [each for each in drawn if f"| `{each}` | {{{{ {name}: {each} }}}}" not in page] == []


def test_pictures_are_drawn_by_the_builders() -> None:
    paired = matrices.picture("near", "near.paired()")
    assert paired.count('class="pull"') == matrices.N
    assert paired.count("= 1.00</title>") == matrices.N
    assert matrices.picture("far", "far.except_self()").count('class="out"') == matrices.N
    labels = matrices.picture("near", "near.same_label(y)")
    assert labels.count("= 0.50</title>") == 6  # three of a label share a row's weight among the two others
    assert labels.count("= 1.00</title>") == 2


def test_the_api_page_holds_every_public_name_of_the_package() -> None:
    import nearfar

    page = (DOCS / "api.md").read_text("utf-8")
    for module in ("near", "far", "losses", "geometry", "decoding", "recipes"):
        assert module in nearfar.__all__
        assert f"{{{{ api: nearfar.{module} }}}}" in page
    functions = public_names.entries("nearfar", set())
    assert set(re.findall(r"\.(\w+)$", functions, re.MULTILINE)) >= {"contrast", "evaluate", "flow", "load", "train"}
    assert "nearfar.losses.contrast.ContrastLoss" in public_names.entries("nearfar.losses", set())


def test_the_rows_shown_are_rows_of_their_schema() -> None:
    from nearfar.data.schemas import ONLY_BY_NAME, SCHEMAS, matching

    for name, row in recipe_pages.ROWS.items():
        fitting = [SCHEMAS[name]] if name in ONLY_BY_NAME else matching(list(row))
        assert name in [schema.name for schema in fitting if schema.fits(row)]
    assert {schema for name in recipes.names() for schema in recipes.get(name).schemas} <= set(recipe_pages.ROWS)
