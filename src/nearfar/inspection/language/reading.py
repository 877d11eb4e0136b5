"""One pass of a language model over pieces of text: its laws, their metric, and the states of some contexts.

Memory does not grow with the vocabulary or the number of tokens: laws are used a piece at a time, and what is kept is a
fixed number of states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.theory import Laws, MetricSpectrum, average_metric, categorical_entropy, metric_spectrum

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.inspection.language.options import LanguageInspectOptions
    from nearfar.inspection.language.pieces import Piece
    from nearfar.models.abilities import ExposesStates

    #: (piece, position) of each context whose law is compared with others.
    Contexts = list[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Reading:
    """What a model says about pieces of text. Positions are all tokens but the last of each piece, in order.

    Args:
        entropies: Of the law at each position, in nats.
        repeats: The probability that two draws from it agree, at each position.
        losses: Minus the log-probability of the token that followed.
        metric: The mean Fisher-Rao metric.
        mean_law: The mean law.
        states: States by layer of the sampled contexts; the last is the input of the head.
        last: The input of the head at each position.
        inner: The states at each position of the layers of `kept_layers`; 0 are the embeddings.
        pieces: The number of the piece of each position.
        log_z: The logarithm of the normaliser of the law at each position.
        head, bias: The head.
    """

    entropies: Float[Tensor, " n"]
    repeats: Float[Tensor, " n"]
    losses: Float[Tensor, " n"]
    metric: MetricSpectrum
    mean_law: Float[Tensor, " v"]
    states: list[Float[Tensor, "c d"]]
    last: Float[Tensor, "n d"]
    inner: dict[int, Float[Tensor, "n d"]]
    pieces: Int[Tensor, " n"]
    log_z: Float[Tensor, " n"]
    head: Float[Tensor, "v d"]
    bias: Float[Tensor, " v"] | None


def read(model: ExposesStates, pieces: Sequence[Piece], contexts: Contexts, step: Callable[[], None]) -> Reading:
    """Pass all pieces through the model.

    Args:
        model: The model.
        pieces: See `draw_pieces`.
        contexts: See `draw_contexts`; their states are kept for all layers.
        step: Called after each piece.
    """
    head_of = model.states(pieces[0].tokens[:2])
    head, bias, depth = head_of.head, head_of.bias, len(head_of.layers) - 1
    kept = kept_layers(depth)
    positions: dict[int, list[int]] = {}
    for number, position in contexts:
        positions.setdefault(number, []).append(position)
    figures: list[Tensor] = []
    last: list[Tensor] = []
    inner: dict[int, list[Tensor]] = {layer: [] for layer in kept}
    states: list[list[Tensor]] = [[] for _ in range(depth + 1)]
    total = torch.zeros(len(head), dtype=torch.float64, device=head.device)

    def laws() -> Iterator[Laws]:
        for number, piece in enumerate(pieces):
            layers = model.states(piece.tokens).layers
            found = Laws.of_head(layers[-1][:-1], head, bias)
            following = torch.tensor(piece.tokens[1:], device=head.device)
            first = torch.zeros_like(following)
            logit = layers[-1][:-1] @ head[0].to(layers[-1]) + (0 if bias is None else bias[0])
            figures.append(
                torch.stack(
                    [
                        found.entropies(),
                        1 - categorical_entropy(found, "total variation"),
                        -found.log_probability(following),
                        logit.double() - found.log_probability(first),
                    ]
                )
            )
            total.add_(found.mean() * len(following))
            last.append(layers[-1][:-1])
            for layer in kept:
                inner[layer].append(layers[layer][:-1])
            chosen = torch.tensor(sorted(positions.get(number, [])), dtype=torch.long, device=head.device)
            for layer, of_layer in enumerate(layers):
                states[layer].append(of_layer[chosen])
            yield found
            step()

    metric = metric_spectrum(average_metric(laws(), head))
    entropies, repeats, losses, log_z = torch.cat(figures, 1)
    return Reading(
        entropies=entropies,
        repeats=repeats,
        losses=losses,
        metric=metric,
        mean_law=total / len(losses),
        states=[torch.cat(of_layer) for of_layer in states],
        last=torch.cat(last),
        inner={layer: torch.cat(of_layer) for layer, of_layer in inner.items()},
        pieces=torch.cat([torch.full((len(each),), number) for number, each in enumerate(last)]),
        log_z=log_z,
        head=head,
        bias=bias,
    )


def kept_layers(depth: int) -> tuple[int, ...]:
    """The embeddings, and a low, a middle and a high layer of `depth`; none of them the last, and each once."""
    return tuple(sorted({0, depth // 6, depth // 2, max(0, depth - 3)}))


def draw_contexts(
    pieces: Sequence[Piece], options: LanguageInspectOptions, ends: Sequence[Sequence[int]] | None = None
) -> Contexts:
    """Random contexts, in order of piece and position; not the first token of a piece, whose state is often an outlier.

    Args:
        pieces: See `draw_pieces`.
        options: How many.
        ends: The characters of each piece after which a token of a second model ends: contexts are those of both.

    Raises:
        InputError: There are fewer than four.
    """
    possible = []
    for number, piece in enumerate(pieces):
        shared = None if ends is None else set(ends[number])
        possible += [
            (number, position)
            for position in range(1, len(piece.tokens) - 1)
            if piece.ends[position] > 0 and (shared is None or piece.ends[position] in shared)
        ]
    if len(possible) < 4:
        raise InputError(f"expected at least 4 contexts, got {len(possible)}", field="text", remedy="use more text")
    order = torch.randperm(len(possible), generator=torch.Generator().manual_seed(options.seed))
    return sorted(possible[i] for i in order[: options.contexts].tolist())


def laws_of(
    model: ExposesStates, pieces: Sequence[Piece], contexts: Contexts, most: int, step: Callable[[], None]
) -> Laws:
    """The laws of a second model for contexts of the first, found by the characters at which tokens end.

    Args:
        model: The second model.
        pieces: See `draw_pieces`.
        contexts: See `draw_contexts`, which must be given the second model's ends.
        most: Maximum number of tokens of a piece.
        step: Called after each piece.
    """
    rows: list[Tensor] = []
    found = None
    for number, piece in enumerate(pieces):
        tokens, ends = model.tokens(piece.text, most)
        place = {end: position for position, end in enumerate(ends)}
        chosen = [place[piece.ends[position]] for n, position in contexts if n == number]
        if chosen:
            found = model.states(tokens)
            rows.append(found.layers[-1][torch.tensor(chosen, device=found.head.device)])
        step()
    assert found is not None
    return Laws.of_head(torch.cat(rows), found.head, found.bias)


def shortlist_laws(reading: Reading, size: int) -> Float[Tensor, "n c"]:
    """The law at each position over the tokens with the highest mean probability, and all others as the last column."""
    columns = reading.mean_law.topk(min(size, len(reading.mean_law) - 1)).indices.sort().values
    logits = reading.last @ reading.head[columns].to(reading.last).T
    if reading.bias is not None:
        logits = logits + reading.bias[columns].to(logits)
    p = (logits.double() - reading.log_z[:, None]).exp().float()
    return torch.cat([p, (1 - p.sum(1, keepdim=True)).clamp(min=0)], 1)
