"""One training run: options, Hugging Face's trainer, checkpoints that survive a kill, the run folder."""
