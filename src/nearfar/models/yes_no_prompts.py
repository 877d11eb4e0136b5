"""The prompt by which a causal language model answers whether a document is relevant to a query.

It becomes the chat template of the model's tokenizer, with the roles `query` and `document` that `CrossEncoder` gives
to the texts of a pair. So the saved folder has it, and `CrossEncoder(folder)` reads pairs with it.

Source: Dai et al. 2025, Supervised Fine-Tuning or Contrastive Learning? Towards Better Multimodal LLM Reranking.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal, cast

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

__all__ = ["INSTRUCTION", "prepare_reranker", "set_prompt"]

#: The instruction for web search.
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"

_SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
#: Stand for the texts while the model's own chat template is rendered.
_PLACES = ("@@instruction@@", "@@query@@", "@@document@@")
_USER = f"<Instruct>: {_PLACES[0]}\n<Query>: {_PLACES[1]}\n<Document>: {_PLACES[2]}"


def set_prompt(model: CrossEncoder, instruction: str = INSTRUCTION) -> None:
    """Give a language model that answers yes or no its prompt and the tokens of its answers, in place.

    The prompt is a chat of the model's own template up to the answer, or plain text where it has none. A model whose
    template has the roles `query` and `document` keeps it. The query comes before the document, so that the beginning
    of its prompts is the same for all documents.

    Args:
        model: A CrossEncoder made from a causal language model.
        instruction: What makes a document relevant; a `prompt` of `CrossEncoder.predict` takes its place.

    Raises:
        InputError: The answers are not single tokens after the prompt, or the chat template changes the texts.
    """
    from nearfar.models.yes_no import answers_yes_or_no

    if not answers_yes_or_no(model):
        raise InputError("expected a language model that answers yes or no, got a classifier", field="model")
    tokenizer: Any = model.tokenizer
    if _reads_pairs(tokenizer.chat_template):
        return
    rendered = _rendered(tokenizer)
    yes, no = (_answer(tokenizer, rendered, word) for word in ("yes", "no"))
    tokenizer.chat_template = _template(rendered, instruction)
    transformer, score = cast("Any", model[0]), cast("Any", model[-1])
    transformer.modality_config = {
        **transformer.modality_config,
        "message": {**transformer.modality_config["text"], "format": "flat"},
    }
    transformer.input_formatter.message_format = "flat"
    transformer.input_formatter.supported_modalities = list(transformer.modality_config)
    score.true_token_id, score.false_token_id = yes, no


def prepare_reranker(model: CrossEncoder, direction: Literal["sft", "cl", "random"], instruction: str) -> None:
    """Make a CrossEncoder ready to be trained with a direction of `nearfar.losses.reranking`, in place.

    A language model gets its prompt, and the score that the direction pushes; a classifier stays as it is.

    Raises:
        InputError: A classifier with several outputs, or the direction `random` for one; see `set_prompt`, too.
    """
    from nearfar.models.yes_no import answers_yes_or_no, score_by

    if answers_yes_or_no(model):
        set_prompt(model, instruction)
        score_by(model, direction)
    elif model.num_labels > 1:
        problem = f"expected a cross-encoder with one output, got {model.num_labels}"
        raise InputError(problem, field="model", remedy="use another cross-encoder, or an encoder")
    elif direction == "random":
        problem = "a random direction requires a language model: the output of a classifier is a learned vector"
        raise InputError(problem, field="direction", remedy="use sft or cl, or a language model")


def _reads_pairs(template: Any) -> bool:
    return isinstance(template, str) and bool(re.search(r"""['"]document['"]""", template))


def _rendered(tokenizer: Any) -> str:
    """A prompt with the places of its texts."""
    if tokenizer.chat_template is None:
        begins = [tokenizer.bos_token] if tokenizer.bos_token and _adds(tokenizer, tokenizer.bos_token_id) else []
        return "".join([*begins, _SYSTEM, "\n", _USER, "\nAnswer:\n"])
    options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
    try:
        system = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
        found = tokenizer.apply_chat_template(system, **options)
    except Exception:  # some templates, such as Gemma's, refuse the role
        found = ""
    if _SYSTEM not in found:
        found = tokenizer.apply_chat_template([{"role": "user", "content": f"{_SYSTEM}\n\n{_USER}"}], **options)
    return found


def _adds(tokenizer: Any, token: int) -> bool:
    return token in tokenizer("a")["input_ids"][:1]


def _template(rendered: str, instruction: str) -> str:
    """A chat template that puts the texts of a pair into a prompt."""
    places = [rendered.find(place) for place in _PLACES]
    if -1 in places or places != sorted(places) or any(rendered.count(place) != 1 for place in _PLACES):
        problem = "the model's chat template changes the texts of a message"
        raise InputError(problem, field="model", remedy="use a model whose template keeps them")
    first, second, third, last = re.split("|".join(map(re.escape, _PLACES)), rendered)
    texts = {"system": instruction, "query": "", "document": ""}
    defaults = ", ".join(f"{name}={_quoted(text)}" for name, text in texts.items())
    kept = "".join(
        f"{{%- {'if' if number == 0 else 'elif'} message['role'] == '{name}' -%}}"
        f"{{%- set text.{name} = message['content'] -%}}"
        for number, name in enumerate(texts)
    )
    parts = (_quoted(first), "text.system", _quoted(second), "text.query", _quoted(third), "text.document")
    return (
        f"{{%- set text = namespace({defaults}) -%}}{{%- for message in messages -%}}{kept}{{%- endif -%}}"
        f"{{%- endfor -%}}{{{{- {' ~ '.join((*parts, _quoted(last)))} -}}}}"
    )


def _quoted(text: str) -> str:
    """A string of Jinja, which knows the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _answer(tokenizer: Any, rendered: str, word: str) -> int:
    """The token of an answer where it occurs: right after the prompt.

    Raises:
        InputError: It is not a single token.
    """
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (rendered, rendered + word))
    if len(after) != len(before) + 1 or after[:-1] != before or after[-1] == tokenizer.unk_token_id:
        raise InputError(
            f"{word!r} is not a single token after the prompt",
            field="model",
            remedy="use a language model whose vocabulary has the tokens 'yes' and 'no'",
        )
    return after[-1]
