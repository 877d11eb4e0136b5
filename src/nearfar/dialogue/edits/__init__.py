"""A person's edits of actions: rename, merge, split."""
