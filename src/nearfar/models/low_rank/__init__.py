"""Low-rank and sparse layers, and their conversion to dense layers (recipe `lost`)."""
