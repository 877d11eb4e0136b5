"""Domain experts: one copy of the feed-forward blocks per domain (recipe `moe_embed`)."""
