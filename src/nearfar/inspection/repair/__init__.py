"""Repair of rows: what an encoder, and a judge, find wrong is dropped, masked or relabelled.

`run` reads and writes, `pairs` and `labels` find the faults of pairs and of labelled texts, `faults` says what a fault
is, and `judging` asks a judge.
"""

from nearfar.inspection.repair.faults import RepairOptions
from nearfar.inspection.repair.run import Repaired, changes_file, repair

__all__ = ["RepairOptions", "Repaired", "changes_file", "repair"]
