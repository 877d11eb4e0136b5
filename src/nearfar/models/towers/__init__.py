"""Models with two towers: texts beside pictures or recordings."""

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
