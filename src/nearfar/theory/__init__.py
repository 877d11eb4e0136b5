"""What a next-token law says about the states that it is made of.

Zhang 2025, A Markov Categorical Framework for Language Modeling (arXiv 2507.19247). The paper describes one step of a
language model as a composition of Markov kernels; here its quantities can be computed, and processes whose law is
known allow to check them.

    Laws                          next-token laws of many contexts, a block of the vocabulary at a time
    categorical_entropy(p)        how random a law is, by any of five divergences
    stochasticity_gap(laws, w)    mean entropy minus NLL: below 0 the model is over-confident
    average_metric(laws, W)       the pulled-back Fisher-Rao metric: which directions of a state change the law
    kernels                       how similar the laws of two contexts are: six kernels
    operator(K), spectrum(K)      the predictive-similarity operator of contexts, and its eigenvalues
    Reference(K, r)               alignment A_r, captured energy R_r and CKA of states with a kernel, with their null
    conditional_surplus(...)      what a state knows about a later token, beyond the tokens in between
    acceptance_rate, expected_tokens, speed_up      what a drafter of several tokens gains
    processes                     Markov processes with a known law

A law is a distribution over the v tokens that may follow a context. States are (n, d), heads (v, d), entropies in nats.
"""

from nearfar.theory import kernels, processes
from nearfar.theory.agreement import Agreement, Reference
from nearfar.theory.drafting import acceptance_rate, expected_tokens, speed_up
from nearfar.theory.entropies import categorical_entropy, stochasticity_gap
from nearfar.theory.laws import Laws
from nearfar.theory.metric import (
    MetricSpectrum,
    average_metric,
    fisher_rao,
    jeffreys,
    metric_spectrum,
    path_integral,
    sensitivity,
)
from nearfar.theory.operators import dirichlet_energy, operator, spectrum
from nearfar.theory.surplus import Probe, ProbeOptions, conditional_surplus, fit_probe, later_tokens

__all__ = [
    "Agreement",
    "Laws",
    "MetricSpectrum",
    "Probe",
    "ProbeOptions",
    "Reference",
    "acceptance_rate",
    "average_metric",
    "categorical_entropy",
    "conditional_surplus",
    "dirichlet_energy",
    "expected_tokens",
    "fisher_rao",
    "fit_probe",
    "jeffreys",
    "kernels",
    "later_tokens",
    "metric_spectrum",
    "operator",
    "path_integral",
    "processes",
    "sensitivity",
    "spectrum",
    "speed_up",
    "stochasticity_gap",
]
