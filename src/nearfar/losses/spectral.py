"""The spectral contrastive loss of next tokens: squared similarities, no softmax.

HaoChen, Wei, Gaidon, Ma 2021, Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss,
here between contexts and tokens, as in Zhang 2025 (arXiv 2507.19247).

    z_xw = logit_xw - log pi_w, minus its mean under pi,     L_spec = -2 E_joint[z] + E_{x, w ~ pi}[z^2]

To second order it is the NLL: NLL = H(W) + L_spec / 2 + O(z^3). With z of rank d, its minimum is minus the sum of the
first d squared canonical correlations of context and token, where states span the leading eigenspace of
`nearfar.theory.kernels.chi`. The two losses agree where the next token depends little on its context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Float, Int


def spectral_contrastive_loss(
    h: Float[Tensor, "n d"],
    a: Float[Tensor, "v d"],
    joint: Float[Tensor, "n v"],
    mu: Float[Tensor, " n"],
    pi: Float[Tensor, " v"],
) -> Float[Tensor, ""]:
    """L_spec of z = <h, a> for a known joint law, in O((n + v) d^2) beyond the joint law itself.

    Its minimum over rank d is -sum_{i <= d} rho_i^2, with the singular values rho of D_mu^-1/2 (joint - mu pi^T)
    D_pi^-1/2.

    Args:
        h: A state for each context.
        a: A vector for each token; its mean under pi is subtracted, so that constants of h do not matter.
        joint: P(x, w); sums to 1.
        mu, pi: Its marginals.
    """
    a = a - pi @ a
    second = (a.T @ (pi[:, None] * a)) @ (h.T @ (mu[:, None] * h))
    return -2 * (h * (joint @ a)).sum() + second.trace()


def spectral_loss(
    logits: Float[Tensor, "n v"], targets: Int[Tensor, " n"], log_pi: Float[Tensor, " v"]
) -> Float[Tensor, ""]:
    """L_spec of a batch of contexts with the token that followed each: an unbiased estimate, in O(n v).

    Args:
        logits: Of a language model; log pi is subtracted from them. A constant for each context does not matter.
        targets: The next tokens.
        log_pi: Logarithms of the marginal law of tokens.
    """
    z = logits.float() - log_pi
    pi = log_pi.exp()
    z = z - (z @ pi)[:, None]
    return (z.square() @ pi - 2 * z.gather(1, targets[:, None]).flatten()).mean()


class SpectralLoss(nn.Module):
    """`spectral_loss` of the next token, for causal language models; optionally with the cross-entropy.

    Args:
        log_pi: Logarithms of the marginal law of tokens in the training documents.
        next_token: Weight of the cross-entropy, which is added.
    """

    log_pi: Tensor

    def __init__(self, log_pi: Float[Tensor, " v"], next_token: float = 0.0) -> None:
        super().__init__()
        self.next_token = next_token
        self.register_buffer("log_pi", log_pi.float(), persistent=False)

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """L_spec / 2, plus the cross-entropy times its weight, of a batch of blocks, `input_ids` (b, n)."""
        tokens = batch["input_ids"]
        logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].flatten(0, 1)
        targets = tokens[:, 1:].flatten()
        loss = spectral_loss(logits, targets, self.log_pi.to(logits.device)) / 2
        if self.next_token:
            loss = loss + self.next_token * F.cross_entropy(logits.float(), targets)
        return loss


@torch.no_grad()
def mean_losses(model: Any, batches: Iterable[Mapping[str, Any]], log_pi: Float[Tensor, " v"]) -> dict[str, float]:
    """Both losses on blocks of held-out text, in nats: `nll`, and `spectral` (L_spec / 2), which is below 0.

    Their difference `entropy` - `nll`, the gain over the marginal law, is about minus `spectral` where dependence is
    weak.

    Args:
        model: A causal language model of transformers.
        batches: With `input_ids` (b, n), all of one size.
        log_pi: See `spectral_loss`.
    """
    sums, count = torch.zeros(3, dtype=torch.float64), 0
    model.eval()
    for batch in batches:
        tokens = torch.as_tensor(batch["input_ids"]).to(model.device)
        logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].flatten(0, 1).float()
        targets, prior = tokens[:, 1:].flatten(), log_pi.to(logits)
        values = [F.cross_entropy(logits, targets), spectral_loss(logits, targets, prior) / 2, -prior[targets].mean()]
        sums += len(targets) * torch.stack(values).double().cpu()
        count += len(targets)
    return dict(zip(("nll", "spectral", "entropy"), (sums / count).tolist(), strict=True))
