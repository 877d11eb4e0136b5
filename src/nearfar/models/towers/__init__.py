"""Models with two towers: texts beside pictures or recordings."""

from nearfar.models.towers.build import MEDIA, Medium, add_tower, freeze, medium_of, router_of, two_towers
from nearfar.models.towers.reading import encode_media, encode_tower, reader_for
from nearfar.models.towers.small import SMALL

__all__ = [
    "MEDIA",
    "SMALL",
    "Medium",
    "add_tower",
    "encode_media",
    "encode_tower",
    "freeze",
    "medium_of",
    "reader_for",
    "router_of",
    "two_towers",
]
