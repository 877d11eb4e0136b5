"""File names in checkpoints, for code that must not import trainers."""

#: Written last in a checkpoint: a checkpoint without it is incomplete and is ignored.
COMPLETE = "complete"
#: Says which checkpoint is the best one so far.
BEST = "best.json"
