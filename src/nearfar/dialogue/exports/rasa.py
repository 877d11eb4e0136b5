"""The pruned graph as training data of Rasa 3: intents, responses, examples and stories in one YAML file.

An action of a user is an intent with its typical utterances as examples; an action of another speaker is a response.
A speaker is a user if a word of the name says so (`user`, `customer`, `caller`, ...); if no name does, the one who
begins most dialogues is the user. The stories are paths of the graph that contain all of its edges, not dialogues of
the log; see `nearfar.dialogue.exports.paths`. The first is the main path.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from nearfar.dialogue.exports.names import clean, slugs
from nearfar.dialogue.exports.paths import covering
from nearfar.dialogue.graph import FIRST

if TYPE_CHECKING:
    from nearfar.dialogue.result import Flow

_USERS = frozenset(("user", "usr", "customer", "client", "caller", "consumer", "human", "guest", "visitor", "patient"))
_OTHERS = frozenset(("agent", "assistant", "bot", "system", "service", "support", "operator", "desk"))
# In an example, Rasa reads [text](entity) and {"entity": ...} as annotation.
_ANNOTATION = str.maketrans("[]{}", "()()")


def as_rasa(flow: Flow) -> str:
    """Training data of Rasa 3 as YAML."""
    import yaml

    graph = flow.graph()
    users = _users(flow)
    intents = [node for node in graph.actions if flow.actions.speaker[node - FIRST] in users]
    others = [node for node in graph.actions if node not in set(intents)]
    intent = dict(zip(intents, slugs([_name(flow, node) for node in intents], "intent"), strict=True))
    answers = slugs([_name(flow, node) for node in others], "response")
    action = {node: f"utter_{slug}" for node, slug in zip(others, answers, strict=True)}
    stories = []
    for number, path in enumerate(covering(graph, flow.happy_path(graph)), 1):
        steps = [{"intent": intent[node]} if node in intent else {"action": action[node]} for node in path[1:-1]]
        if steps:
            stories.append({"story": f"path {number}", "steps": steps})
    content: dict[str, Any] = {
        "version": "3.1",
        "intents": list(intent.values()),
        "responses": {name: [{"text": text} for text in _texts(flow, node)[:1]] for node, name in action.items()},
        "nlu": [
            {"intent": name, "examples": "".join(f"- {text.translate(_ANNOTATION)}\n" for text in _texts(flow, node))}
            for node, name in intent.items()
        ],
        "stories": stories,
    }
    return yaml.dump(content, Dumper=_dumper(), allow_unicode=True, sort_keys=False, width=120)


def _users(flow: Flow) -> set[int]:
    log = flow.log
    words = [set(re.findall(r"[^\W\d_]+", name.casefold())) for name in log.speakers]
    named = {number for number, of in enumerate(words) if of & _USERS and not of & _OTHERS}
    if named:
        return named
    [(first, _)] = Counter(log.speaker[log.starts[:-1]].tolist()).most_common(1)
    return {first}


def _name(flow: Flow, node: int) -> str:
    return flow.described[node - FIRST].name


def _texts(flow: Flow, node: int) -> list[str]:
    return [clean(flow.log.texts[text]) for text, _ in flow.described[node - FIRST].examples]


def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as blocks, and no aliases."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return Dumper
