"""Models with two towers: texts, and images or audio."""

from nearfar.models.towers.build import MEDIA, Medium, add_tower, freeze, medium_of, router_of, two_towers
from nearfar.models.towers.small import SMALL

__all__ = [
    "MEDIA",
    "SMALL",
    "Medium",
    "add_tower",
    "freeze",
    "medium_of",
    "router_of",
    "two_towers",
]
