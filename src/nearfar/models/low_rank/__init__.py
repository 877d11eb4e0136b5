"""Low-rank and sparse layers, and the dense model made of them (recipe `lost`)."""
