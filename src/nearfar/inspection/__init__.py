"""What a model makes of data, and what the data looks like through the model.

    inspect(model, data)    everything below, as an `Inspection`
    MEASURES                each measure in words

`reading` makes of rows what is looked at (`material`), `vectors` encodes it, `measuring` measures the space,
`neighbours` and `duplicates` find rows, `sizes` measures by layer and by width, `flat` draws the map, `differences`
compares two models.
"""

from nearfar.inspection.measuring import MEASURES
from nearfar.inspection.result import Inspection
from nearfar.inspection.run import inspect

__all__ = ["MEASURES", "Inspection", "inspect"]
