"""Encoding corpora that are too large for one process: in workers of Ray Data, or in shards that are joined."""

from nearfar.encoding.encoder import Encoder
from nearfar.encoding.on_ray import OnRay, encode_file_on_ray
from nearfar.encoding.shards import Shard, encode_shard, join_shards

__all__ = ["Encoder", "OnRay", "Shard", "encode_file_on_ray", "encode_shard", "join_shards"]
