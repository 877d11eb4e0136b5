"""Losses for the trainer of sentence-transformers, built on the kernel. `ContrastLoss` suits most uses.

`ordinal` contains functions of similarities and labels, for pairs with graded scores.
"""

from nearfar.losses.angle import angle_objective
from nearfar.losses.annotation_trees import TreeLoss
from nearfar.losses.continual import ContinualLoss, ContinualWeights, new_items_contrast, rehearsal_contrast
from nearfar.losses.contrast import Batch, ContrastLoss
from nearfar.losses.distillation import DistilledPairs
from nearfar.losses.domains import DomainLoss
from nearfar.losses.elastic import ElasticLoss
from nearfar.losses.entrywise import EntrywiseLoss
from nearfar.losses.graded import GradedSimilarityLoss, GradedWeights, MultiPositiveLoss
from nearfar.losses.hypersphere import HypersphereLoss, HypersphereWeights
from nearfar.losses.joint_denominator import JointDenominatorLoss
from nearfar.losses.label_matching import LabelMatchingLoss
from nearfar.losses.labelled import LabelledPairsLoss
from nearfar.losses.masked import MaskedLanguageLoss
from nearfar.losses.nce import binary_nce, debiased_info_nce
from nearfar.losses.prototypes import PrototypeLoss
from nearfar.losses.ranked_lists import RankedListLoss, listwise_kl, margin_mse
from nearfar.losses.reference import ReferenceLoss
from nearfar.losses.separation import SeparationLoss, SeparationWeights
from nearfar.losses.teacher_similarities import TeacherSimilarityLoss

__all__ = [
    "Batch",
    "ContinualLoss",
    "ContinualWeights",
    "ContrastLoss",
    "DistilledPairs",
    "DomainLoss",
    "ElasticLoss",
    "EntrywiseLoss",
    "GradedSimilarityLoss",
    "GradedWeights",
    "HypersphereLoss",
    "HypersphereWeights",
    "JointDenominatorLoss",
    "LabelMatchingLoss",
    "LabelledPairsLoss",
    "MaskedLanguageLoss",
    "MultiPositiveLoss",
    "PrototypeLoss",
    "RankedListLoss",
    "ReferenceLoss",
    "SeparationLoss",
    "SeparationWeights",
    "TeacherSimilarityLoss",
    "TreeLoss",
    "angle_objective",
    "binary_nce",
    "debiased_info_nce",
    "listwise_kl",
    "margin_mse",
    "new_items_contrast",
    "rehearsal_contrast",
]
