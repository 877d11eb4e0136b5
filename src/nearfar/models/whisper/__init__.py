"""Whisper from a Python package: its weights in CTranslate2's format, converted to a folder of transformers."""

from nearfar.models.whisper.folder import whisper_folder

__all__ = ["whisper_folder"]
