"""`inspect_language`: from a language model and texts to an inspection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError, about
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.inspection.language.drafting import measure_drafting
from nearfar.inspection.language.layers import compare_layers, layers_to_compare
from nearfar.inspection.language.options import LanguageInspectOptions
from nearfar.inspection.language.pieces import Piece, draw_pieces
from nearfar.inspection.language.reading import draw_contexts, laws_of, read
from nearfar.inspection.language.result import GROUPS, LanguageInspection
from nearfar.models.abilities import ExposesStates
from nearfar.theory import Laws

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.inspection.language.reading import Reading

#: Tokens of a teacher for each token of the model, at most: tokenizers differ.
_LONGER = 4


def inspect_language(
    model: ExposesStates | str | Path,
    data: str | Path | Dataset,
    *,
    against: ExposesStates | str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    split: str = "train",
    rows: int = 10_000,
    layers: Sequence[int] | None = None,
    seed: int = 0,
    tokens: int = 4_096,
    contexts: int = 600,
    offsets: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> LanguageInspection:
    """Inspect what the states of a causal language model know about the next tokens of texts.

    Layers are compared with a kernel of next-token laws. By default they are those of the model's own output, and the
    last state is left out, because they are computed from it. With a teacher they are independent of the model.

    Args:
        model: A model with the ability `ExposesStates`, or the name of one.
        data: Documents, or where to read them.
        against: A teacher, with any tokenizer: contexts are compared where tokens of both end.
        columns, split, rows, layers, seed, tokens, contexts, offsets: See `LanguageInspectOptions`.
        progress: Called with (steps done, steps in total).

    Raises:
        InputError: there is no such model or data, the model exposes no states, the teacher is the model itself, or
            there is too little text.
    """
    from nearfar.data.documents import load_documents

    started = time.perf_counter()
    options = LanguageInspectOptions(
        columns=columns,
        split=split,
        rows=rows,
        layers=layers,
        seed=seed,
        tokens=tokens,
        contexts=contexts,
        offsets=offsets,
    )
    documents = load_documents(data, columns=columns, split=split)
    subject, teacher = _loaded(model), None if against is None else _loaded(against)
    if teacher is not None:
        _require_other(model, subject, against, teacher)
    with about(data if isinstance(data, (str, Path)) else None, ("text",)):
        pieces = draw_pieces(documents, subject, options)
        ends = None if teacher is None else [_ends(teacher, piece) for piece in pieces]
        chosen = draw_contexts(pieces, options, ends)
    total, done = len(pieces) * (1 + (teacher is not None)) + options.offsets + 1, 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    depth = len(subject.states(pieces[0].tokens[:2]).layers) - 1
    compared = layers_to_compare(depth, teacher is not None, options.layers)
    found = read(subject, pieces, chosen, step)
    kernel, at = None, []
    if compared:
        if teacher is None:
            laws = Laws.of_head(found.states[-1], found.head, found.bias)
        else:
            laws = laws_of(teacher, pieces, chosen, _LONGER * options.block, step)
        name = None if against is None else str(against) if isinstance(against, (str, Path)) else "a teacher"
        kernel, at = compare_layers(laws, found.states, compared, name, options)
    step()
    drafting = measure_drafting(found, pieces, options, step)
    used = len({piece.document for piece in pieces})
    notes = []
    if used < len(documents):
        notes.append(f"{used:,} of {len(documents):,} documents are used, sampled with seed {seed}")
    if drafting is None and options.offsets:
        notes.append("later tokens are not measured: they require at least 3 pieces of text")
    return LanguageInspection(
        model=str(model) if isinstance(model, (str, Path)) else "model",
        documents=len(documents),
        pieces=(len(pieces), used),
        tokens=len(found.losses),
        vocabulary=len(found.head),
        width=found.last.shape[1],
        depth=depth,
        seed=seed,
        laws=_law_figures(found),
        gap_interval=_gap_interval(found, options.seed),
        calibration=_calibration(found),
        metric={
            "trace": found.metric.trace,
            "effective_rank": found.metric.effective_rank,
            "participation_ratio": found.metric.participation_ratio,
        },
        eigenvalues=found.metric.eigenvalues.tolist(),
        kernel=kernel,
        layers=at,
        drafting=drafting,
        notes=(*notes, *(drafting.notes if drafting else ())),
        seconds=time.perf_counter() - started,
    )


def _loaded(model: Any) -> ExposesStates:
    if isinstance(model, (str, Path)):
        from nearfar.kinds.loading import load_kind

        found, name = load_kind(model), str(model)
    else:
        found, name = model, type(model).__name__
    if not isinstance(found, ExposesStates):
        problem = f"expected a causal language model, got {getattr(found, 'words', name)}"
        raise InputError(problem, file=name if isinstance(model, (str, Path)) else None)
    return found


def _require_other(model: object, subject: Any, against: object, teacher: Any) -> None:
    """A kernel of the model's own laws would agree with its last state by construction."""
    same = subject is teacher
    if not same and hasattr(subject, "fingerprint") and hasattr(teacher, "fingerprint"):
        same = subject.fingerprint(model) == teacher.fingerprint(against)
    if same:
        problem = "the teacher is the model itself, whose laws agree with its last state by construction"
        raise InputError(problem, field="--against", remedy="use another model, or remove --against")


def _ends(teacher: ExposesStates, piece: Piece) -> list[int]:
    return teacher.tokens(piece.text, _LONGER * len(piece.tokens))[1]


def _law_figures(found: Reading) -> dict[str, float]:
    nll, entropy = float(found.losses.mean()), float(found.entropies.mean())
    return {"nll": nll, "entropy": entropy, "gap": entropy - nll, "collision": float(found.repeats.mean())}


def _gap_interval(found: Reading, seed: int) -> tuple[float, float] | None:
    """Over pieces: tokens of a piece are not independent."""
    if len(found.pieces.unique()) < 2:
        return None
    gaps = (found.entropies - found.losses).cpu().numpy()
    interval = bootstrap_mean(gaps, seed=seed, groups=found.pieces.numpy())
    return interval.low, interval.high


def _calibration(found: Reading) -> list[tuple[float, float]]:
    """Mean entropy and mean NLL in groups of positions with similar entropy."""
    order = found.entropies.argsort()
    groups = [group for group in order.tensor_split(GROUPS) if len(group)]
    return [(float(found.entropies[group].mean()), float(found.losses[group].mean())) for group in groups]
