"""Distillation from the scores of lists: each query has its own candidates, and a teacher's score for each of them.

    s_ij = similarity(query_i, candidate_ij) / tau          the student's scores
    t_ij = score_ij / teacher temperature                   the teacher's scores; -inf: the list is shorter

    listwise KL   mean_i KL( softmax(t_i) || softmax(s_i) )
    margin MSE    mean_i,j>0 ( (s_i0 - s_ij) - (t_i0 - t_ij) )^2

The KL is `nearfar.contrast`: near are a query's candidates, weighted by the softmax of the teacher's scores; far are
the other candidates of its list alone. Margin MSE has no denominator. It is a limit of the KL: for a list of two,
8 T^2 KL of scores divided by T approaches it as T grows.

At tau = 1 with dot products they are `DistillKLDivLoss` and `MarginMSELoss` of sentence-transformers, in value and
gradient. `DistillKLDivLoss` with another student temperature is tau^2 times the KL.

Source: Lin, Yang, Lin 2020, Distilling Dense Representations for Ranking using Tightly-Coupled Teachers (KL);
Hofstätter et al. 2020, Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation
(margins).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar import far, near
from nearfar.contrast import contrast
from nearfar.losses.contrast import ContrastLoss

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["Distance", "RankedListLoss", "listwise_kl", "margin_mse"]

Distance = Literal["kl", "margin_mse"]
Similarity = Literal["cosine", "dot"]


def listwise_kl(
    queries: Float[Tensor, "n d"],
    candidates: Sequence[Float[Tensor, "n d"]],
    teacher: Float[Tensor, "n k"],
    temperature: float | Float[Tensor, ""] = 0.05,
    similarity: Similarity = "cosine",
) -> Float[Tensor, ""]:
    """KL of the student's distribution over each query's list from the teacher's, mean over queries.

    Args:
        queries: Vectors of the queries.
        candidates: Vectors of the first candidate of every query, of the second, ...: k matrices, k >= 2.
        teacher: The teacher's scores t; -inf where a list is shorter.
        temperature: tau of the student's scores.
        similarity: See `nearfar.contrast`.

    Raises:
        ValueError: shapes do not fit.
    """
    _check(queries, candidates, teacher)
    target = torch.softmax(teacher.detach().to(queries.device, torch.promote_types(queries.dtype, torch.float32)), 1)
    crossed = contrast(
        queries,
        torch.cat(list(candidates)),
        near.weights(_in_own_list(target)),
        far.masked(~_in_own_list(teacher > -torch.inf)),
        temperature=temperature,
        similarity=similarity,
    )
    return crossed - torch.special.entr(target).sum(1).mean()


def margin_mse(
    queries: Float[Tensor, "n d"],
    candidates: Sequence[Float[Tensor, "n d"]],
    teacher: Float[Tensor, "n k"],
    temperature: float | Float[Tensor, ""] = 0.05,
    similarity: Similarity = "cosine",
) -> Float[Tensor, ""]:
    """Mean squared error of the margins between the first candidate of a list and each other one.

    Args, Raises: see `listwise_kl`; the first candidate of a list has a score.
    """
    _check(queries, candidates, teacher)
    dtype = torch.promote_types(queries.dtype, torch.float32)
    sides = queries.to(dtype), torch.stack(list(candidates), 1).to(dtype)
    if similarity == "cosine":
        sides = F.normalize(sides[0], dim=-1), F.normalize(sides[1], dim=-1)
    scores = torch.einsum("nd,nkd->nk", *sides) / temperature
    wanted = teacher.detach().to(scores)
    exists = wanted[:, 1:] > -torch.inf
    error = (scores[:, :1] - scores[:, 1:]) - (wanted[:, :1] - wanted[:, 1:])
    return error[exists].square().mean()


class RankedListLoss(ContrastLoss):
    """The distance of an encoder's scores from a teacher's, over each query's own candidates.

    | columns                             | label                               |
    | ----------------------------------- | ----------------------------------- |
    | query, candidate, candidate_2, ...  | the score of each, in the same order |

    A score of -inf marks a place that is only filled up because the list is shorter. For `margin_mse` the first
    candidate is the one that the others are compared with.

    Args:
        model: The model in training.
        distance: `kl` or `margin_mse`, see the module.
        temperature: tau: the student's scores are similarities divided by it.
        teacher_temperature: The teacher's scores are divided by it.
        similarity, cached, mini_batch_num_tokens: See `ContrastLoss`.

    Raises:
        ValueError: an invalid argument.

    Example:
        >>> loss = RankedListLoss(model, "margin_mse", temperature=1, similarity="dot")
        >>> SentenceTransformerTrainer(model, args, train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: SentenceTransformer,
        distance: Distance = "kl",
        temperature: float = 0.05,
        teacher_temperature: float = 1.0,
        similarity: Similarity = "cosine",
        cached: bool = False,
        mini_batch_num_tokens: int | None = None,
    ) -> None:
        super().__init__(
            model,
            temperature=temperature,
            similarity=similarity,
            cached=cached,
            mini_batch_num_tokens=mini_batch_num_tokens,
        )
        if distance not in ("kl", "margin_mse"):
            raise ValueError(f"invalid distance: must be 'kl' or 'margin_mse', got {distance!r}")
        if not teacher_temperature > 0:
            raise ValueError(f"invalid teacher_temperature: must be > 0, got {teacher_temperature}")
        self.distance: Distance = distance
        self.teacher_temperature = teacher_temperature

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """See `ContrastLoss.loss_of_vectors`; columns are the queries, then the candidates."""
        if labels is None:
            raise ValueError("RankedListLoss requires a 'label' column with the scores of all candidates")
        queries, *candidates = columns
        distance = listwise_kl if self.distance == "kl" else margin_mse
        return distance(queries, candidates, labels / self.teacher_temperature, temperature, self.similarity)

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        own = {"distance": self.distance, "teacher_temperature": self.teacher_temperature}
        return {**super().get_config_dict(), **own}


def _check(queries: Tensor, candidates: Sequence[Tensor], teacher: Tensor) -> None:
    if len(candidates) < 2:
        raise ValueError(f"expected at least two candidates of each query, got {len(candidates)}")
    if tuple(teacher.shape) != (len(queries), len(candidates)):
        wanted = (len(queries), len(candidates))
        raise ValueError(f"expected a score for each candidate, {wanted}, got {tuple(teacher.shape)}")


def _in_own_list(x: Float[Tensor, "n k"]) -> Float[Tensor, "n kn"]:
    """Entries of each query's list as entries of a matrix over the candidates of all queries, which are k columns."""
    return torch.diag_embed(x.T).permute(1, 0, 2).reshape(len(x), -1)
