"""Actions in words: examples, characteristic words, and names."""
