"""Contrastive learning on language: one kernel, many papers as recipes."""

__version__ = "0.1.0"
