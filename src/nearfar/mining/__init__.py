"""Mining: neighbours, negatives, surface similarity, propensities, seeded sampling, texts with the same label."""

from nearfar.mining.candidates import Candidates, mine
from nearfar.mining.debiased import InversePropensity, debiased_pairs, mine_with
from nearfar.mining.hard_negatives import HardNegatives
from nearfar.mining.labels import label_pairs, pair_sets, utterance_pairs
from nearfar.mining.negatives import Negatives, drawn_negatives, with_negatives
from nearfar.mining.neighbours import nearest
from nearfar.mining.pairs import drawn_pairs, drawn_rows
from nearfar.mining.propensity import negative_log_weights, positive_log_weights, probabilities
from nearfar.mining.rehearsal import Quota, RehearsalBuffer, herded, with_rehearsal
from nearfar.mining.sampling import draw
from nearfar.mining.surface import Surface, jaccard, levenshtein, surface_of

__all__ = [
    "Candidates",
    "HardNegatives",
    "InversePropensity",
    "Negatives",
    "Quota",
    "RehearsalBuffer",
    "Surface",
    "debiased_pairs",
    "draw",
    "drawn_negatives",
    "drawn_pairs",
    "drawn_rows",
    "herded",
    "jaccard",
    "label_pairs",
    "levenshtein",
    "mine",
    "mine_with",
    "nearest",
    "negative_log_weights",
    "pair_sets",
    "positive_log_weights",
    "probabilities",
    "surface_of",
    "utterance_pairs",
    "with_negatives",
    "with_rehearsal",
]
