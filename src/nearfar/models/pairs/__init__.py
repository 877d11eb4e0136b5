"""Scoring pairs: a head over two vectors, and the cross-encoder that teaches it (recipe `dse`)."""
