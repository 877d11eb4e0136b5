"""Domain experts: feed-forward blocks copied once a domain (recipe `moe_embed`)."""
