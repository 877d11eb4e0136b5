"""All turns as an event log for process mining (pm4py, ProM, Disco): XES (IEEE 1849-2016), or CSV with its names.

A dialogue is a case, a turn an event, its action the activity, its speaker the resource. `nearfar.dialogue.Log` keeps
the order of turns, not their times. The times in the file are therefore artificial: each dialogue begins at
1970-01-01T00:00:00Z, and its turns are one second apart. Each event says so (`time:artificial`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import numpy as np

from nearfar.dialogue.exports.names import activities, clean, unique

if TYPE_CHECKING:
    from nearfar.dialogue.result import Flow

COLUMNS = ("case:concept:name", "concept:name", "time:timestamp", "org:resource", "time:artificial", "text")
"""The columns of the CSV file."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EXTENSIONS = (
    ("Concept", "concept", "http://www.xes-standard.org/concept.xesext"),
    ("Time", "time", "http://www.xes-standard.org/time.xesext"),
    ("Organizational", "org", "http://www.xes-standard.org/org.xesext"),
)
_GLOBALS = """ <global scope="trace">
  <string key="concept:name" value=""/>
 </global>
 <global scope="event">
  <string key="concept:name" value=""/>
  <string key="org:resource" value=""/>
  <date key="time:timestamp" value="1970-01-01T00:00:00+00:00"/>
  <boolean key="time:artificial" value="true"/>
  <string key="text" value=""/>
 </global>
 <classifier name="Activity" keys="concept:name"/>
"""

Event = tuple[str, str, str, str]


def as_xes(flow: Flow) -> str:
    """All turns as XES."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    parts.append('<log xes.version="1849-2016" xes.features="" xmlns="http://www.xes-standard.org/">\n')
    parts += [f' <extension name="{name}" prefix="{prefix}" uri="{uri}"/>\n' for name, prefix, uri in _EXTENSIONS]
    parts.append(_GLOBALS)
    for name, events in _cases(flow):
        parts.append(f' <trace>\n  <string key="concept:name" value={quoteattr(name)}/>\n')
        for activity, time, speaker, text in events:
            parts.append(
                f'  <event>\n   <string key="concept:name" value={quoteattr(activity)}/>\n'
                f'   <string key="org:resource" value={quoteattr(speaker)}/>\n'
                f'   <date key="time:timestamp" value="{time}"/>\n'
                f'   <boolean key="time:artificial" value="true"/>\n'
                f'   <string key="text" value={quoteattr(text)}/>\n  </event>\n'
            )
        parts.append(" </trace>\n")
    return "".join([*parts, "</log>\n"])


def as_event_csv(flow: Flow) -> str:
    """All turns as CSV, with the columns `COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, events in _cases(flow):
        case = _cell(name)
        for activity, time, speaker, said in events:
            writer.writerow((case, _cell(activity), time, _cell(speaker), "true", _cell(said)))
    return text.getvalue()


def _cases(flow: Flow) -> Iterator[tuple[str, Iterator[Event]]]:
    """The name of each dialogue, and for each turn its activity, time, speaker and text."""
    names = activities(flow)
    speakers, texts = [clean(name) for name in flow.log.speakers], [clean(text) for text in flow.log.texts]
    longest = int(np.diff(flow.log.starts).max())
    times = [(_EPOCH + timedelta(seconds=second)).isoformat() for second in range(longest)]
    turn = flow.actions.turn.tolist()
    for number, case in enumerate(unique(clean(name) for name in flow.log.ids)):
        at = flow.log.dialogue(number)
        said = flow.log.dialogue_turns(number)
        yield (
            case,
            (
                (names[action], time, speakers[who], texts[text])
                for action, time, (who, text) in zip(turn[at], times, said, strict=False)
            ),
        )


def _cell(text: str) -> str:
    # A spreadsheet executes a text that begins like a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
