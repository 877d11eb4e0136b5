"""How well the action before a turn predicts the words of the turn.

    p(words | before) = sum_a p(a | before) prod_w p(w | a),    p(w | a) = (n(a, w) + m p(w)) / (n(a) + m),    m = 100

p(a | before) is of the chain (`nearfar.dialogue.chain`), given that the dialogue goes on; p(w | a) are the smoothed
counts of words of an action. Unlike the perplexity of actions, that of words is of the same events whatever the actions
are: two workflows of one log can be compared, also with other numbers of actions or other encoders.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.chain import fit_chain
from nearfar.dialogue.log import Log, steps

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_WORD = re.compile(r"\w+")
_PRIOR = 100.0
_MOST_WORDS = 20_000
_BLOCK = 4096


def word_losses(
    known: Log, new: Log, old: Int[np.ndarray, " turns"], turn: Int[np.ndarray, " turns"], states: int
) -> tuple[Float[np.ndarray, " words"], Int[np.ndarray, " words"]] | None:
    """The negative log-probability of each word of some dialogues, by the counts of others.

    Args:
        known: The dialogues to count.
        new: The dialogues to predict, over the same texts.
        old: The action of each turn of ``known``.
        turn: The action of each turn of ``new``.
        states: The number of actions.

    Returns:
        For each word the mean loss of its turn in nats, and the dialogue; None if there are no words.
    """
    counts = _words(known, new)
    if counts is None:
        return None
    seen, said = counts
    conditional, _ = fit_chain(*steps(known, old, states, states)[:2], states + 1)
    goes_on = conditional[:, :states] / conditional[:, :states].sum(1, keepdims=True)
    before, after, of = steps(new, turn, states, states)
    is_turn = after < states  # in the order of the turns
    losses = _turn_losses(np.log(goes_on[before[is_turn]]), said, _log_words(seen, old, states))
    length = np.asarray(said.sum(1)).ravel().astype(np.int64)
    return np.repeat(losses / np.maximum(length, 1), length), np.repeat(of[is_turn], length)


def _words(known: Log, new: Log) -> tuple[Any, Any] | None:
    """Word counts of the turns, (turns, words). The last column is for words that are not in two texts of ``known``."""
    used = np.unique(np.concatenate([known.text, new.text])).tolist()
    said = {text: _WORD.findall(known.texts[text].lower()) for text in used}
    texts = Counter(word for text in np.unique(known.text).tolist() for word in set(said[text]))
    common = [word for word, count in texts.most_common(_MOST_WORDS) if count > 1]
    column = {word: number for number, word in enumerate(common)}
    found = [_counts(log, said, column) for log in (known, new)]
    return None if any(counts.nnz == 0 for counts in found) else (found[0], found[1])


def _counts(log: Log, said: Mapping[int, list[str]], column: Mapping[str, int]) -> Any:
    from scipy.sparse import csr_matrix

    texts, place = np.unique(log.text, return_inverse=True)
    rows = [[column.get(word, len(column)) for word in said[text]] for text in texts.tolist()]
    ends = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter(chain.from_iterable(rows), np.int64, int(ends[-1]))
    return csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(rows), len(column) + 1))[place]


def _log_words(seen: Any, old: Int[np.ndarray, " turns"], states: int) -> Float[np.ndarray, "words states"]:
    """The log-probability of each word for each action."""
    from scipy.sparse import csr_matrix

    by_action: Any = csr_matrix((np.ones(len(old)), (old, np.arange(len(old)))), shape=(states, len(old))) @ seen
    often = np.asarray(by_action.sum(0)).ravel() + 0.5
    p = often / often.sum()
    counts = by_action.toarray()
    return np.log((counts + _PRIOR * p) / (counts.sum(1, keepdims=True) + _PRIOR)).T


def _turn_losses(
    prior: Float[np.ndarray, "turns states"], said: Any, words: Float[np.ndarray, "words states"]
) -> Float[np.ndarray, " turns"]:
    from scipy.special import logsumexp

    losses = np.empty(len(prior))
    for start in range(0, len(prior), _BLOCK):
        part = slice(start, start + _BLOCK)
        losses[part] = -logsumexp(prior[part] + said[part] @ words, axis=1)
    return losses
