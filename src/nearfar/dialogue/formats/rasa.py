"""Stories of Rasa: training stories, and test stories with what the user says. Each story is a dialogue.

stories:
- story: happy path
  steps:
  - user: hello there        if there is none, the name of the intent stands for it
    intent: greet
  - action: utter_greet      the first of its texts in `responses`, else its name
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfar.data.files import list_folder, open_text
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken
from nearfar.errors import InputError

USER, BOT = "user", "bot"
# A small compressed file can become any size.
_MOST_CHARACTERS = 1 << 26
_KEY = re.compile(r"^ *stories:", re.MULTILINE)
# "[Rome](city)", "[Rome]{"entity": "city"}": what is marked is said.
_ENTITY = re.compile(r"\[([^\[\]]+)\](?:\([^()]*\)|\{[^{}]*\})")


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per story; rules are no dialogues. What is neither said nor an intent is left out.

    Raises:
        InputError: a file is not YAML, or a story has no steps.
    """
    seen: dict[str, int] = {}
    for file in files:
        responses = _responses(file.parent)
        for name, turns in _stories(file, responses, context.about(file, "story")):
            seen[name] = seen.get(name, 0) + 1
            yield Dialogue(name if seen[name] == 1 else f"{name} ({seen[name]})", turns)


def _stories(file: Path, responses: Mapping[str, str], notes: Notes) -> Iterator[tuple[str, list[Spoken]]]:
    content = _yaml(file)
    stories = content.get("stories") if isinstance(content, dict) else None
    if not isinstance(stories, list):
        raise InputError("expected a list of stories", file=file, field="stories", remedy="write '- story: NAME'")
    for number, story in enumerate(stories, 1):
        steps = story.get("steps") if isinstance(story, dict) else None
        if not isinstance(steps, list):
            problem = f"story {number}: expected a list of steps"
            raise InputError(problem, file=file, field="steps", remedy="write the steps of the story below 'steps:'")
        turns = [turn for step in steps if (turn := _turn(step, number, responses, notes)) is not None]
        yield str(story.get("story", f"story {number}")), turns


def _turn(step: object, number: int, responses: Mapping[str, str], notes: Notes) -> Spoken | None:
    if isinstance(step, dict) and isinstance(step.get("or"), list) and step["or"]:
        step = step["or"][0]
    if not isinstance(step, dict):
        notes.left_out("steps that are no turn", number)
        return None
    said, intent, action = step.get("user"), step.get("intent"), step.get("action")
    if isinstance(said, str) and said.strip():
        return Spoken(USER, _ENTITY.sub(r"\1", said).strip(), number)
    if isinstance(intent, str) and intent.strip():
        return Spoken(USER, intent, number)
    if isinstance(step.get("bot"), str):
        return Spoken(BOT, step["bot"].strip(), number)
    if isinstance(action, str) and (action in responses or action.startswith("utter_")):
        return Spoken(BOT, responses.get(action, action), number)
    kind = (
        "actions that say nothing" if isinstance(action, str) else "steps that are no turn (slots, forms, checkpoints)"
    )
    notes.left_out(kind, number)
    return None


def _responses(folder: Path) -> dict[str, str]:
    """The first text of each response of the YAML files in a folder, and in the one above it, as in Rasa's projects."""
    found: dict[str, str] = {}
    for place in (folder, folder.parent):
        for file in list_folder(place):
            if file.suffix.lower() not in (".yml", ".yaml") or not file.is_file() or not _mentions(file, "responses:"):
                continue
            content = _yaml(file)
            responses = content.get("responses") if isinstance(content, dict) else None
            for name, texts in responses.items() if isinstance(responses, dict) else ():
                first = texts[0] if isinstance(texts, list) and texts else None
                text = first.get("text") if isinstance(first, dict) else None
                if isinstance(text, str) and text.strip():
                    found.setdefault(str(name), text.strip())
    return found


def _mentions(file: Path, key: str) -> bool:
    with open_text(file) as text:
        return re.search(rf"^ *{key}", text.read(_MOST_CHARACTERS), re.MULTILINE) is not None


def _yaml(file: Path) -> Any:
    import yaml

    with open_text(file) as text:
        try:
            # Without types: "yes" and "10:30" are said, not a truth value and a number.
            content = text.read(_MOST_CHARACTERS + 1)
            if len(content) > _MOST_CHARACTERS:
                problem = f"contains more than {_MOST_CHARACTERS:,} characters"
                raise InputError(problem, file=file, remedy="split the file")
            loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
            for event in yaml.parse(content, loader):
                if isinstance(event, yaml.AliasEvent):
                    # A small file of aliases stands for stories of any length.
                    problem, line = f"contains the alias '*{event.anchor}'", event.start_mark.line + 1
                    raise InputError(problem, file=file, line=line, remedy="write out what it stands for")
            return yaml.load(content, loader)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            problem = f"invalid YAML: {getattr(error, 'problem', None) or 'it cannot be parsed'}"
            line = None if mark is None else mark.line + 1
            raise InputError(problem, file=file, line=line, remedy="fix the line") from None


def _detect(head: Head) -> bool:
    return _KEY.search(head.text) is not None


FORMAT = Format("Rasa stories", (".yml", ".yaml"), _detect, read)
