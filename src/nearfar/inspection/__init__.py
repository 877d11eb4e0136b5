"""Inspection of the vectors that a model gives for data, and of the data as the model sees it.

    inspect(model, data)    everything below, as an `Inspection`
    MEASURES                the definition of each measure

`sampling` reads the data and draws a `Sample`: unique items (`unique`) and pairs of them (`pairs`). `source` encodes
it, `examine` collects what is found: figures (`measuring`, `neighbours`), rows to read (`findings`, `duplicates`),
layers and dimensions (`sizes`) and a map (`flat`). `differences` compares two models, `views` two views of one model,
`locating` finds the rows in their files, `summary` and `page` show the result. `language` inspects causal language
models.
"""

from nearfar.inspection.measures import MEASURES
from nearfar.inspection.result import Inspection
from nearfar.inspection.run import inspect

__all__ = ["MEASURES", "Inspection", "inspect"]
