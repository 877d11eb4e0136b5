"""Suggestions for messages ("did you mean"); they never influence results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

# Names of these columns in other datasets and libraries.
_ALIASES = {
    "query": ("question", "anchor", "text", "prompt", "input"),
    "candidates": ("documents", "passages", "docs", "texts", "candidate_texts", "responses"),
    "scores": ("labels", "relevance", "grades", "score", "ratings", "teacher_scores"),
    "labels": ("label_texts", "label_names", "tags", "categories", "classes"),
    "anchor": ("query", "question", "premise", "source", "src", "sentence", "text1", "sentence1", "caption1", "claim"),
    "positive": ("answer", "pos", "document", "passage", "response", "context", "target", "hypothesis", "sentence2"),
    "negative": ("hard_negative", "neg", "hard_neg", "negatives", "distractor"),
    "text": ("sentence", "utterance", "content", "body", "caption", "transcript", "transcription", "document"),
    "label": ("intent", "class", "category", "target", "gold", "labels", "emotion"),
    "sentence1": ("sentence_1", "sent1", "s1", "text1", "question1", "premise", "sentence_a"),
    "sentence2": ("sentence_2", "sent2", "s2", "text2", "question2", "hypothesis", "sentence_b"),
    "score": ("similarity", "similarity_score", "rating", "relatedness", "gold_score", "is_duplicate"),
    "entry": ("word", "term", "headword", "words", "lemma"),
    "definition": ("gloss", "meaning", "description"),
    "question": ("query", "problem", "input"),
    "answer": ("label", "correct", "target", "output"),
    "rationales": ("rationale", "explanation", "explanations", "reasoning", "llm_rationale"),
    "contradictions": ("false_completions", "distractors"),
    "dialogue_id": ("dialog_id", "conversation_id", "session_id", "id"),
    "document": ("doc_id", "document_id", "title"),
    "turns": ("utterances", "messages", "dialogue", "dialog", "conversation", "conversations"),
    "speaker": ("role", "author", "from", "actor"),
    "image": ("image_path", "img", "picture", "photo", "image_file", "file_name", "file", "path"),
    "audio": ("audio_path", "wav", "speech", "recording", "audio_file", "file_name", "file", "path"),
}


def close_name(name: str, known: Iterable[str]) -> str | None:
    """Return the member of `known` most similar to `name`, ignoring case, or None."""
    folded = {candidate.casefold(): candidate for candidate in known}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return folded[near[0]] if near else None


def suggest_columns(names: Collection[str], wanted: Sequence[Sequence[str]]) -> str:
    """Return a remedy that suggests a `--columns` mapping from a file's columns to one of the column sets `wanted`."""
    guesses = [_guess(names, columns) for columns in wanted]
    # Prefer a mapping that covers a whole column set, and among these the longest.
    complete = [guess for guess, columns in zip(guesses, wanted, strict=True) if len(guess) == len(columns)]
    if complete:
        best = max(complete, key=len)
        if "anchor" in best and "negative" not in names:
            best |= overlooked([name for name in names if name not in best.values()], ["negative"])
        mapping = ",".join(f"{name}={column}" for name, column in best.items() if name != column)
        return f"map them with --columns {mapping}"
    if len(names) == 1 and (mark := next((m for m in ";|\t" if m in next(iter(names))), None)):
        return f"the header has a single column, with {mark!r} in it: separate columns by commas (.csv) or tabs (.tsv)"
    example = wanted[0] if len(wanted) == 1 else ("anchor", "positive")
    missing = [name for name in example if name not in names]
    # If only one schema is possible, the column may be missing under any name.
    otherwise = f", or add {', '.join(missing)}" if len(wanted) == 1 else ""
    return f"map your columns with --columns {','.join(f'{name}=...' for name in missing)}{otherwise}"


def overlooked(unused: Collection[str], wanted: Iterable[str]) -> dict[str, str]:
    """Return name -> column for those of `wanted` that an unused column has under another common name."""
    found = {}
    for name in wanted:
        for column in unused:
            if column.casefold() in _ALIASES.get(name, ()):
                found.setdefault(name, column)
    return found


def _guess(names: Collection[str], wanted: Sequence[str]) -> dict[str, str]:
    guess = {name: name for name in wanted if name in names}
    for name in wanted:
        free = [column for column in names if column not in guess.values()]
        alias = next((a for a in _ALIASES.get(name, ()) if a in {c.casefold() for c in free}), None)
        column = next((c for c in free if c.casefold() == alias), None) or close_name(name, free)
        if name not in guess and column is not None:
            guess[name] = column
    return guess
