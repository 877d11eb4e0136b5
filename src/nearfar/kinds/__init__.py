"""What is trained: one file a kind of model, and what a run of any of them shares."""
