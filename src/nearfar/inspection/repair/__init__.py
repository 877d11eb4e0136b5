"""Repair of rows: what an encoder, and a judge, find wrong is dropped, masked or relabelled.

`run` reads and writes, `pairs` and `labels` find the faults of pairs and of labelled texts, `faults` says what a fault
is, `judging` asks a judge, `masks` draws what takes the place of false negatives, and `kept_columns` says which columns
outside the schema a file can represent.
"""

from nearfar.inspection.repair.faults import RepairOptions
from nearfar.inspection.repair.run import Repaired, changes_file, check_repairable, repair

__all__ = ["RepairOptions", "Repaired", "changes_file", "check_repairable", "repair"]
