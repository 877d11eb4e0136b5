"""Models with two towers: texts beside pictures or recordings."""

from nearfar.models.towers.build import MEDIA, Medium, freeze, medium_of, router_of, two_towers
from nearfar.models.towers.reading import encode_media, reader_for
from nearfar.models.towers.small import SMALL

__all__ = ["MEDIA", "SMALL", "Medium", "encode_media", "freeze", "medium_of", "reader_for", "router_of", "two_towers"]
