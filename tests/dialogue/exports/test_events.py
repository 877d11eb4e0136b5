"""Event logs."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flows import booking_flow, flow_of, hostile_flow
from nearfar.dialogue import write
from nearfar.dialogue.exports import as_event_csv, as_xes
from nearfar.dialogue.exports.names import activities, clean

FLOWS = {"booking": booking_flow(6), "hostile": hostile_flow()}
XES = "{http://www.xes-standard.org/}"


def expected(flow) -> list[tuple[str, str, str, str]]:
    """Case, activity, speaker and text of all turns."""
    names, found = activities(flow), []
    for number, case in enumerate(flow.log.ids):
        at = flow.log.dialogue(number)
        for action, (who, text) in zip(flow.actions.turn[at], flow.log.dialogue_turns(number), strict=True):
            row = (case, names[action], flow.log.speakers[who], flow.log.texts[text])
            found.append(tuple(clean(value) for value in row))
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_xes_contains_every_turn_in_order(name: str):
    log = ElementTree.fromstring(as_xes(FLOWS[name]))
    assert log.tag == f"{XES}log"
    found = []
    for trace in log.findall(f"{XES}trace"):
        case = trace[0].attrib["value"]
        events = [{of.attrib["key"]: of.attrib["value"] for of in event} for event in trace.findall(f"{XES}event")]
        found += [(case, of["concept:name"], of["org:resource"], of["text"]) for of in events]
        times = [datetime.fromisoformat(of["time:timestamp"]) for of in events]
        assert times == sorted(set(times))
        assert {of["time:artificial"] for of in events} == {"true"}
    assert found == expected(FLOWS[name])


@pytest.mark.parametrize("name", FLOWS)
def test_the_table_contains_every_turn_in_order(name: str):
    rows = list(csv.DictReader(io.StringIO(as_event_csv(FLOWS[name]))))
    keys = ("case:concept:name", "concept:name", "org:resource", "text")
    assert [tuple(row[key] for key in keys) for row in rows] == expected(FLOWS[name])
    assert {row["time:artificial"] for row in rows} == {"true"}


def test_no_cell_of_the_table_is_a_formula():
    flow = flow_of([("=1+1", [("@user", "x", "-2+3")]), ("=1+1", [("+agent", "y", "=cmd()")])])
    rows = list(csv.reader(io.StringIO(as_event_csv(flow))))[1:]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert len({row[0] for row in rows}) == 2


def test_pm4py_reads_both(tmp_path: Path):
    pm4py = pytest.importorskip("pm4py")
    pandas = pytest.importorskip("pandas")
    flow = FLOWS["booking"]
    log = pm4py.read_xes(str(write(flow, tmp_path / "log.xes")))
    assert (len(log), log["case:concept:name"].nunique()) == (flow.log.turns, len(flow.log))
    table = pandas.read_csv(write(flow, tmp_path / "log.events.csv"))
    events = pm4py.format_dataframe(table)
    assert pm4py.get_variants(events).keys() == pm4py.get_variants(log).keys()
