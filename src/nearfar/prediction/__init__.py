"""Probabilities of labels for texts, images and audio files."""

from nearfar.prediction.label_files import counted_labels, read_labels
from nearfar.prediction.labeller import Labeller, check_options, labeller
from nearfar.prediction.predictions import check_target, predict, predict_file

__all__ = [
    "Labeller",
    "check_options",
    "check_target",
    "counted_labels",
    "labeller",
    "predict",
    "predict_file",
    "read_labels",
]
