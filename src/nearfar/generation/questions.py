"""Pairs from a corpus alone: a language model writes questions for its passages, and an encoder checks them.

Sources: Bonifacio et al. 2022, InPars (arXiv 2202.05144), and Dai et al. 2023, Promptagator (arXiv 2209.11755), whose
round-trip filter this is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.errors import InputError
from nearfar.generation.calls import CallLog, Progress
from nearfar.generation.interface import Decoding, Generator
from nearfar.generation.question_checks import COPIED, copied_fraction, fault, question_key
from nearfar.generation.question_kinds import KINDS, QuestionKind, cleaned, own_kind
from nearfar.settings import Count, Fraction, Probability, Whole, check_ranges

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Int
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

__all__ = ["Found", "Questions", "write_questions"]

#: Reasons why a question is dropped, beside those of `question_checks`.
DUPLICATE, NOT_FOUND, TOO_FEW = "duplicate", "not found", "too few negatives"


@dataclass(frozen=True)
class Questions:
    """What is written, and what is kept.

    Args:
        kinds: Names of forms, keys of `KINDS`; the questions of a passage take turns.
        instructions: Instructions of your own, each a form, too.
        per_passage: Number of questions written for each passage.
        passages: Maximum number of passages with questions, sampled from the corpus; 0: all.
        rank: A question is kept if its passage is among this many that the encoder finds for it.
        max_copied: Maximum fraction of a question's words that stand in the passage, or in the examples of the prompt,
            without a gap.
        max_passage: Characters after which a passage is truncated for the language model.
        held_out: Fraction of the documents whose questions are held out.
        negatives: Number of hard negatives of each question that is not held out: the nearest passages of other
            documents, see `nearfar.generation.question_negatives`.
        seed: Random seed: decides which passages are sampled and which documents are held out.
        decoding: How the language model writes.
    """

    kinds: Sequence[str] = tuple(KINDS)
    instructions: Sequence[str] = ()
    per_passage: Count = 2
    passages: Whole = 0
    rank: Count = 3
    max_copied: Fraction = 0.7
    max_passage: Count = 2000
    held_out: Probability = 0.1
    negatives: Whole = 0
    seed: Whole = 0
    decoding: Decoding = field(default_factory=lambda: Decoding(max_tokens=48, temperature=0.7))

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in self.kinds:
            if name not in KINDS:
                remedy = f"must be one of {', '.join(KINDS)}"
                raise InputError(f"unknown kind {name!r}", field="--kinds", remedy=remedy)
        if any(not text.strip() for text in self.instructions):
            raise InputError("is empty", field="--instruction", remedy="say what to write for a passage")
        forms = len(self.forms)
        if not forms:
            raise InputError("expected at least one kind, got none", field="--kinds", remedy=f"use {', '.join(KINDS)}")
        if self.per_passage > forms and not self.decoding.temperature:
            problem = f"{self.per_passage} questions of {forms} kinds are duplicates without a temperature"
            raise InputError(problem, field="--per-passage", remedy=f"use at most {forms}, or a temperature above 0")

    @property
    def forms(self) -> list[QuestionKind]:
        """All forms, in their order."""
        own = [own_kind(text, number) for number, text in enumerate(self.instructions, start=1)]
        return [*(KINDS[name] for name in dict.fromkeys(self.kinds)), *own]


class Found(NamedTuple):
    """Questions with their passages.

    Args:
        kept: Rows of the schema `pairs`: `anchor` (the question), `positive` (the passage), and `kind`, `document`,
            `rank`, and `negative_1`, ... if negatives are asked for.
        held_out: The same without negatives, of held-out documents: no document has rows in both.
        dropped: The other questions, with the reason (`dropped`), and the rank if they were searched for.
        counts: `passages`, `different` ones, `asked` (passages with questions), `documents` of these, `truncated`
            passages, `written` questions, `kept`, `held_out`, `held_out_documents`, `dropped` by reason, and `kinds`
            (written and kept of each).
    """

    kept: list[dict[str, Any]]
    held_out: list[dict[str, Any]]
    dropped: list[dict[str, Any]]
    counts: dict[str, Any]


def write_questions(
    passages: Dataset,
    generator: Generator,
    log: CallLog,
    encoder: SentenceTransformer,
    how: Questions = Questions(),
    *,
    batch_size: int = 64,
    writing: Progress | None = None,
    checking: Progress | None = None,
) -> Found:
    """Write questions for passages, and keep those that find their passage again.

    The same corpus, log, encoder and seed give the same rows.

    Args:
        passages: The corpus: columns `text` and `document`, see `nearfar.data.passages.load_passages`. Passages that
            differ only in case and white space are one, of the document that is first.
        generator: The language model.
        log: Keeps each answer, so that an interrupted run can be resumed.
        encoder: The encoder that looks for the passages.
        how: What is written, and what is kept.
        batch_size: Batch size of the encoder.
        writing: Called with (answers so far, number of answers).
        checking: Called with (passages encoded so far, number of passages).

    Raises:
        InputError: The generator failed (earlier answers are in the log), a part of the documents is to be held out
            and there are fewer than two, or no question has enough negatives.
    """
    import numpy as np

    numbers = _numbers(passages)
    _, first = np.unique(numbers.numpy(), return_index=True)
    different = np.sort(first)
    asked = different
    if how.passages and how.passages < len(different):
        order = np.random.default_rng(how.seed).permutation(len(different))
        asked = np.sort(different[order[: how.passages]])
    chosen = passages.select(asked)
    texts, documents = list(chosen["text"]), [str(name) for name in chosen["document"]]
    held_out = _held_out(documents, how)

    drafts = _written(texts, asked.tolist(), generator, log, how, writing)
    _check_alone(drafts, texts, how)
    _check_ranks(drafts, asked.tolist(), passages, numbers, encoder, how, batch_size, checking)
    _check_negatives([draft for draft in drafts if documents[draft.passage] not in held_out], how)

    kept: list[dict[str, Any]] = []
    evaluation: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for draft in drafts:
        document = documents[draft.passage]
        row = {"anchor": draft.text, "positive": texts[draft.passage], "kind": draft.kind, "document": document}
        row |= {} if draft.rank is None else {"rank": draft.rank}
        if draft.dropped:
            dropped.append({**row, "dropped": draft.dropped})
        elif document in held_out:
            evaluation.append(row)
        else:
            rivals = passages[[int(first[number]) for number in draft.negatives]]["text"] if how.negatives else []
            kept.append({**row, **{f"negative_{place}": text for place, text in enumerate(rivals, start=1)}})
    counts = {
        "passages": len(passages),
        "different": len(different),
        "documents": len(set(documents)),
        "asked": len(texts),
        "truncated": sum(len(text) > how.max_passage for text in texts),
        "written": len(drafts),
        "kept": len(kept),
        "held_out": len(evaluation),
        "held_out_documents": len(held_out),
        "dropped": dict(Counter(draft.dropped for draft in drafts if draft.dropped).most_common()),
        "kinds": {form.name: _of_kind(drafts, form.name) for form in how.forms},
    }
    return Found(kept, evaluation, dropped, counts)


@dataclass
class _Draft:
    """A written question. `passage`: its place among those with questions. `negatives`: numbers of passages."""

    text: str
    passage: int
    kind: str
    rank: int | None = None
    dropped: str = ""
    negatives: Sequence[int] = ()


def _numbers(passages: Dataset) -> Int[Tensor, " n"]:
    """A number for each passage, the same for those that differ only in case and white space. No text is kept."""
    import torch

    from nearfar.data.same_text import NumberedTexts

    known = NumberedTexts()
    found: list[int] = []
    for batch in passages.select_columns(["text"]).iter(10_000):
        texts: Sequence[str] = batch["text"]  # pyright: ignore[reportArgumentType, reportCallIssue]
        found += map(known.add, texts)
    return torch.tensor(found)


def _held_out(documents: Sequence[str], how: Questions) -> set[str]:
    """The documents that are held out. By hashes, so that most stay on their side when the corpus grows."""
    names = set(documents)
    if not how.held_out:
        return set()
    if len(names) < 2:
        remedy = "name the document of each passage in a column document, or use --held-out 0"
        problem = f"expected at least 2 documents, one of them to hold out, got {len(names)}"
        raise InputError(problem, field="--held-out", remedy=remedy)
    count = min(max(1, round(how.held_out * len(names))), len(names) - 1)
    return set(sorted(names, key=lambda name: hashlib.sha256(f"{how.seed} {name}".encode()).digest())[:count])


def _written(
    texts: Sequence[str],
    rows: Sequence[int],
    generator: Generator,
    log: CallLog,
    how: Questions,
    progress: Progress | None,
) -> list[_Draft]:
    forms = how.forms
    drafts, prompts = [], []
    for place, (text, row) in enumerate(zip(texts, rows, strict=True)):
        for number in range(how.per_passage):
            # By row, so that forms are balanced with one question a passage, and do not depend on the sample.
            form = forms[(row + number) % len(forms)]
            prompts.append(form.prompt(text[: how.max_passage], sample=number // len(forms)))
            drafts.append(_Draft("", place, form.name))
    for draft, answer in zip(drafts, log.complete(generator, prompts, how.decoding, progress), strict=True):
        draft.text = cleaned(answer)
    return drafts


def _check_alone(drafts: Sequence[_Draft], texts: Sequence[str], how: Questions) -> None:
    """Mark what the texts show to be useless, and duplicates of what is left."""
    seen: set[str] = set()
    examples = {form.name: form.shown for form in how.forms}
    for draft in drafts:
        key = question_key(draft.text)
        draft.dropped = fault(draft.text, texts[draft.passage], how.max_copied) or (DUPLICATE if key in seen else "")
        if copied_fraction(draft.text, examples[draft.kind]) > how.max_copied:
            draft.dropped = draft.dropped or COPIED
        if not draft.dropped:
            seen.add(key)


def _check_ranks(
    drafts: Sequence[_Draft],
    rows: Sequence[int],
    passages: Dataset,
    numbers: Int[Tensor, " n"],
    encoder: SentenceTransformer,
    how: Questions,
    batch_size: int,
    progress: Progress | None,
) -> None:
    """Give each question that is left its rank and negatives, and mark those that do not find their passage."""
    from nearfar.generation.question_negatives import Nearest, numbers_of_documents
    from nearfar.generation.round_trip import ranks

    left = [draft for draft in drafts if not draft.dropped]
    if not left:
        return
    questions, own = [draft.text for draft in left], [rows[draft.passage] for draft in left]
    nearest = Nearest(how.negatives, own, numbers, numbers_of_documents(passages)) if how.negatives else None
    options: dict[str, Any] = {"batch_size": batch_size, "nearest": nearest, "progress": progress}
    for draft, rank in zip(left, ranks(questions, own, passages, numbers, encoder, **options), strict=True):
        draft.rank = rank
        draft.dropped = NOT_FOUND if rank > how.rank else ""
    if nearest is not None:
        for draft, negatives in zip(left, nearest.negatives(), strict=True):
            draft.negatives = negatives


def _check_negatives(drafts: Sequence[_Draft], how: Questions) -> None:
    """Mark the questions to train on that have too few negatives.

    Raises:
        InputError: There are only such questions.
    """
    left = [draft for draft in drafts if not draft.dropped]
    for draft in left:
        draft.dropped = TOO_FEW if len(draft.negatives) < how.negatives else ""
    if left and all(draft.dropped for draft in left):
        problem = f"no question has {how.negatives} negatives"
        raise InputError(problem, field="--negatives", remedy="use fewer negatives, or a larger corpus")


def _of_kind(drafts: Sequence[_Draft], kind: str) -> dict[str, int]:
    of_kind = [draft for draft in drafts if draft.kind == kind]
    return {"written": len(of_kind), "kept": sum(not draft.dropped for draft in of_kind)}
