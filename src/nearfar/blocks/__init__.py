"""What the vocabularies (`near`, `far`) and the engines share: blocks of rows of P, and the bases of their builders.

An engine asks a `Near` for the rows of P that it is working on and gets `Targets`: a few indices where P is a diagonal,
a matrix elsewhere. It asks a `Far` to add F to a block of x = S / temperature in place. `Shard` describes the part of a
global batch that one process has.
"""

from nearfar.blocks.builders import Far, FarSum, Near
from nearfar.blocks.shard import Shard, sum_over
from nearfar.blocks.targets import DenseTargets, DiagonalTargets, SparseTargets, Targets

__all__ = [
    "DenseTargets",
    "DiagonalTargets",
    "Far",
    "FarSum",
    "Near",
    "Shard",
    "SparseTargets",
    "Targets",
    "sum_over",
]
