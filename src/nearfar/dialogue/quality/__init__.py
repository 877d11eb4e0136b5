"""How good a workflow is: what it explains, and how well it predicts held-out dialogues."""
