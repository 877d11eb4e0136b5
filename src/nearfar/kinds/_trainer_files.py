"""Names of files in checkpoints, for code that must not import trainers."""

#: The last file of a checkpoint: one without it was interrupted and does not count.
COMPLETE = "complete"
