"""Rationale distillation: a student learns answers, the best of several rationales, and to avoid its own bad ones.

Wang et al. 2025, QCRD: Quality-guided Contrastive Rationale Distillation (arXiv 2405.13014); the losses of answers and
rationales side by side are those of Hsieh et al. 2023, Distilling Step-by-Step (arXiv 2305.02301).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.settings import NonNegative, Positive

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.losses.own_samples import OwnSamples
    from nearfar.models.abilities import Conditions
    from nearfar.models.discriminator import Discriminator

__all__ = ["DiscriminatorLoss", "RationaleLoss", "Weighing", "likeliest", "many_to_one", "separated", "shares"]


@dataclass(frozen=True)
class Weighing:
    """How the losses of an input's rationales become one number.

    Args:
        beta: Weight of the negatives.
        delta: Loss above which a negative has no effect.
        neg_reduce: The negative that counts: `max` the least likely one (a single negative above delta silences all of
            the input), `min` the most likely one, `mean` all alike.
        weight_map: From the discriminator's quality s to the weights of a positive and of a negative: `linear` s and
            1 - s, `hard` 1 on the right side of 0.5 and 0 on the other, `none` always 1.
        normalise_weights: Divide the weights of positives by their mean in the batch; not in the paper.
        token_mean: A loss is the mean over tokens; False: the sum, so that delta is one of a whole rationale.
    """

    beta: NonNegative = 0.2
    delta: Positive = 3.0
    neg_reduce: Literal["max", "min", "mean"] = "max"
    weight_map: Literal["linear", "hard", "none"] = "linear"
    normalise_weights: bool = False
    token_mean: bool = True


def likeliest(losses: Sequence[float], owners: Sequence[int]) -> list[int]:
    """For each input with positives, in order, which of them has the lowest loss.

    Args:
        losses: Loss of each positive.
        owners: The input of each.
    """
    best: dict[int, int] = {}
    for number, owner in enumerate(owners):
        if owner not in best or losses[number] < losses[best[owner]]:
            best[owner] = number
    return [best[owner] for owner in sorted(best)]


def shares(losses: Sequence[float], owners: Sequence[int], how: Weighing) -> list[float]:
    """How much each negative counts: the shares of an input's negatives sum to 1.

    Args:
        losses: Loss of each negative.
        owners: The input of each.
        how: Which count.
    """
    of_input: dict[int, list[int]] = {}
    for number, owner in enumerate(owners):
        of_input.setdefault(owner, []).append(number)
    found = [0.0] * len(losses)
    for numbers in of_input.values():
        if how.neg_reduce == "mean":
            kept = numbers
        else:
            kept = [(max if how.neg_reduce == "max" else min)(numbers, key=lambda number: losses[number])]
        for number in kept:
            found[number] = 1 / len(kept)
    return found


def many_to_one(
    positive: Float[Tensor, " b"],
    negative: Float[Tensor, " k"],
    share: Float[Tensor, " k"],
    how: Weighing,
    good: Float[Tensor, " b"] | None = None,
    bad: Float[Tensor, " k"] | None = None,
) -> Float[Tensor, ""]:
    """The sum over the inputs of w+ l+ - beta sum_j share_j w_j- min(l_j- - delta, 0)  (QCRD, L_QCL without the mean).

    Minimising it makes positives likely, and pushes a negative until its loss is delta.

    Args:
        positive: Loss of each input's chosen positive.
        negative: Loss of the negatives of all inputs.
        share: How much each of them counts in its input.
        how: beta, delta, and the map from qualities to weights w.
        good, bad: Qualities in (0, 1) of the positives and the negatives; None: all weights are 1.
    """
    hinge = (negative - how.delta).clamp(max=0)
    if good is not None and bad is not None and how.weight_map != "none":
        if how.weight_map == "hard":
            good, bad = ((quality > 0.5).to(quality.dtype) for quality in (good, bad))
        if how.normalise_weights:
            good = good / good.mean().clamp(min=torch.finfo(good.dtype).eps)
        positive, hinge = good * positive, (1 - bad) * hinge
    return positive.sum() - how.beta * (share * hinge).sum()


def separated(good: Float[Tensor, " p"], bad: Float[Tensor, " q"]) -> Float[Tensor, ""]:
    """-mean log D(x, r+) - mean log(1 - D(x, r-)), from the logits of D; a class without rationales adds nothing."""
    losses = [F.softplus(sign * logits).mean() for sign, logits in ((-1, good), (1, bad)) if len(logits)]
    return torch.stack(losses).sum() if losses else good.sum()


class Rationales(NamedTuple):
    """The rationales of a batch as tokens, and the input of each."""

    tokens: list[Tensor]
    owners: list[int]

    def only(self, numbers: Sequence[int]) -> Rationales:
        """Some of them."""
        return Rationales([self.tokens[n] for n in numbers], [self.owners[n] for n in numbers])

    def __add__(self, other: tuple[Any, ...]) -> Rationales:
        return Rationales([*self.tokens, *other[0]], [*self.owners, *other[1]])


def tokenised(student: Conditions, texts: Sequence[Sequence[str]]) -> Rationales:
    """Rationales given as a list of texts for each input of a batch."""
    tokens = student.target_tokens([text for of_one in texts for text in of_one])
    return Rationales(tokens, [row for row, of_one in enumerate(texts) for _ in of_one])


class DiscriminatorLoss(nn.Module):
    """Trains the discriminator before the student: good rationales against bad and corrupted ones.

    Args:
        discriminator: Trained in place.
        student: Turns texts into tokens; it is not trained.
        prefix: Precedes a question.
        corrupt: From a good rationale, and the words of all good ones of a batch, to a bad one.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        student: Conditions,
        prefix: str,
        corrupt: Callable[[str, Sequence[str]], str],
    ) -> None:
        super().__init__()
        self.discriminator, self.student, self.prefix, self.corrupt = discriminator, student, prefix, corrupt

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """The loss of a batch with `question`, `positives` and `negatives` (lists of texts); `model` is not used."""
        words = [word for texts in batch["positives"] for text in texts for word in text.split()]
        bad = [
            [*negatives, *(self.corrupt(text, words) for text in positives)]
            for positives, negatives in zip(batch["positives"], batch["negatives"], strict=True)
        ]
        sources = [self.prefix + question for question in batch["question"]]
        return separated(
            *(
                self.discriminator.logits(self.student, sources, *tokenised(self.student, texts))
                for texts in (batch["positives"], bad)
            )
        )


class RationaleLoss(nn.Module):
    """a1 * loss of the answer + a2 * loss of the rationales + a3 * loss of the discriminator.

    As an instance of `contrast`, token by token: a row is a token of a target, its candidates are the vocabulary, near
    is the token itself. Everything is in the weights of the rows: a1 / |y| for an answer, a2 s+ / |r| for the chosen
    rationale, and a negative one for a negative as long as it is too likely. transformers computes the logits.

    Args:
        student: Gives losses of targets, and samples them.
        prefixes: What precedes a question: for its answer, and for a rationale.
        how: How rationales are weighed.
        steps: Batches in an iteration.
        weights: a1, a2, a3.
        decay: a3 is multiplied by it after every iteration.
        discriminator: Judges rationales; trained in place. None: all weights are 1.
        update_every: Iterations from one update of the discriminator to the next.
        own: The student's own rationales of an earlier iteration; None: no self-adversarial negatives.
    """

    calls: Tensor

    def __init__(
        self,
        student: Conditions,
        prefixes: tuple[str, str],
        how: Weighing,
        *,
        steps: int,
        weights: tuple[float, float, float] = (0.5, 0.5, 0.5),
        decay: float = 0.9,
        discriminator: Discriminator | None = None,
        update_every: int = 1,
        own: OwnSamples | None = None,
    ) -> None:
        super().__init__()
        self.student, self.prefixes, self.how, self.steps = student, prefixes, how, steps
        self.weights, self.decay, self.update_every = weights, decay, update_every
        self.discriminator, self.own = discriminator, own
        #: Batches so far; a checkpoint contains it.
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """The loss of a batch.

        Args:
            model: The student's model, in training.
            batch: `index` (b,) of the rows, `question`, `answer` (texts), `positives`, `negatives` (lists of texts).
        """
        iteration, step = divmod(int(self.calls), self.steps)
        if self.own is not None and step == 0:
            self.own.draw(self.student, iteration)
        self.calls += 1
        predict, explain = ([prefix + question for question in batch["question"]] for prefix in self.prefixes)
        answers = self.student.target_tokens(batch["answer"])
        loss = self.weights[0] * self.student.target_losses(model, predict, answers, range(len(answers))).mean()
        positives, negatives = tokenised(self.student, batch["positives"]), tokenised(self.student, batch["negatives"])
        if self.own is not None:
            negatives += self._sampled(batch["index"].tolist(), iteration, positives)
        judged = None
        if self.discriminator is not None:
            update = iteration % self.update_every == 0
            with torch.set_grad_enabled(update and torch.is_grad_enabled()):
                logits = [self.discriminator.logits(self.student, explain, *each) for each in (positives, negatives)]
            if update:
                loss = loss + self.weights[2] * self.decay**iteration * separated(*logits)
            judged = torch.cat(logits).detach().sigmoid()
        return loss + self.weights[1] * self._of_rationales(model, explain, positives, negatives, judged)

    def _sampled(self, rows: Sequence[int], iteration: int, positives: Rationales) -> Rationales:
        """The student's own rationales, but for those that equal one of the positives."""
        assert self.own is not None
        good = {(owner, tuple(tokens.tolist())) for tokens, owner in zip(*positives, strict=True)}
        own = enumerate(self.own.of(rows, iteration))
        fresh = [(tokens, row) for row, tokens in own if len(tokens) and (row, tuple(tokens.tolist())) not in good]
        return Rationales([tokens for tokens, _ in fresh], [row for _, row in fresh])

    def _of_rationales(
        self,
        model: Any,
        sources: list[str],
        positives: Rationales,
        negatives: Rationales,
        quality: Float[Tensor, " m"] | None,
    ) -> Float[Tensor, ""]:
        """The mean of `many_to_one` over the inputs, given the quality of all positives, then of all negatives."""
        count = len(positives.tokens)
        near, active, share = self._that_count(model, sources, positives, negatives)
        losses = self._losses(model, sources, positives.only(near) + negatives.only(active))
        good = bad = None
        if quality is not None:
            good, bad = quality[near], quality[[count + n for n in active]]
        shared = losses.new_tensor([share[n] for n in active])
        return many_to_one(losses[: len(near)], losses[len(near) :], shared, self.how, good, bad) / len(sources)

    @torch.no_grad()
    def _that_count(
        self, model: Any, sources: list[str], positives: Rationales, negatives: Rationales
    ) -> tuple[list[int], list[int], list[float]]:
        """The positives and the negatives that count, and how much each of all negatives does.

        A first pass without gradients finds them. A positive that is the only one of its input is not in it.
        """
        of_input = Counter(positives.owners)
        several = [n for n, owner in enumerate(positives.owners) if of_input[owner] > 1]
        measured = positives.only(several) + negatives
        found = self._losses(model, sources, measured).tolist() if measured.tokens else []
        losses = [0.0] * len(positives.tokens)
        for number, loss in zip(several, found[: len(several)], strict=True):
            losses[number] = loss
        of_negatives = found[len(several) :]
        share = shares(of_negatives, negatives.owners, self.how)
        # Above delta a negative has neither a value nor a gradient.
        active = [n for n, loss in enumerate(of_negatives) if share[n] and loss < self.how.delta]
        return likeliest(losses, positives.owners), active, share

    def _losses(self, model: Any, sources: Sequence[str], rationales: Rationales) -> Float[Tensor, " m"]:
        losses = self.student.target_losses(model, sources, *rationales)
        if self.how.token_mean:
            return losses
        return losses * losses.new_tensor([len(tokens) for tokens in rationales.tokens])
