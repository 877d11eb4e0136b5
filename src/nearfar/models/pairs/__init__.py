"""Scoring of pairs: a head over two vectors, and the cross-encoder that is its teacher (recipe `dse`)."""
