"""Formats of dialogue logs, one file each; `nearfar.dialogue.transcripts` has their table."""
