"""Which speakers are included, and under which roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfar.dialogue.formats.names import is_role
from nearfar.errors import InputError

MOST = 6
"""Maximum number of speakers that a graph can distinguish by colour."""


@dataclass(frozen=True)
class Casting:
    """Maps names in the log to roles in the graph, without regard to case.

    Args:
        roles: Case-folded name -> role; None: every name is its own role.
        rest: The role of all names that are not in `roles`; None excludes them.
    """

    roles: Mapping[str, str] | None = None
    rest: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Casting:
        """Parse `user,agent`, or several names per role: `user=Caller|Customer,agent=*` (`*`: all other speakers).

        Raises:
            InputError: a part is empty, a name or role is listed twice, or there are too many roles.
        """
        if text is None:
            return cls()
        roles: dict[str, str] = {}
        rest = None
        seen: list[str] = []
        for part in text.split(","):
            role, equals, names = (piece.strip() for piece in part.partition("="))
            members = [name.strip() for name in names.split("|")] if equals else [role]
            if not role or not all(members):
                problem = f"expected a speaker, got {part.strip()!r} in {text!r}"
                raise InputError(problem, field="--speakers", remedy="for example user,agent=Anna|Ben")
            if role in seen:
                raise InputError(f"{role!r} is listed twice in {text!r}", field="--speakers", remedy="remove one")
            seen.append(role)
            for name in members:
                if name.casefold() in roles or (name == "*" and rest is not None):
                    raise InputError(f"{name!r} is listed twice in {text!r}", field="--speakers", remedy="remove one")
                if name == "*":
                    rest = role
                else:
                    roles[name.casefold()] = role
        if len(seen) > MOST:
            problem = f"expected at most {MOST} roles, got {len(seen)}"
            raise InputError(problem, field="--speakers", remedy="merge some of them")
        return cls(roles, rest)

    def role(self, speaker: str) -> str | None:
        """The role of a speaker; None if the speaker is excluded."""
        name = " ".join(speaker.split())
        if self.roles is None:
            return name
        return self.roles.get(name.casefold(), self.rest)

    def check(self, found: Sequence[str], names: Iterable[str], file: str | Path | None) -> None:
        """Check that every requested role has turns, and that there are not too many roles.

        Args:
            found: The roles with turns.
            names: All speakers in the log, by decreasing number of turns.
            file: The source, for messages.

        Raises:
            InputError: otherwise.
        """
        if self.roles is not None:
            asked = [*self.roles.values(), *([self.rest] if self.rest else [])]
            for role in asked:
                if role not in found:
                    problem = f"no turn of speaker {role!r} exists"
                    remedy = f"the speakers are {', '.join(list(names)[:MOST])}"
                    raise InputError(problem, file=file, field="--speakers", remedy=remedy)
        if len(found) > MOST:
            problem = f"expected at most {MOST} speakers, got {len(found)} ({', '.join(found[:MOST])}, ...)"
            remedy = f"merge some of them, such as --speakers {found[0]},others=*"
            raise InputError(problem, file=file, field="--speakers", remedy=remedy)


def heard_once(most: Mapping[str, int], casting: Casting) -> list[str]:
    """A note about speakers with a single turn, where others have more: they may be no speakers.

    Roles, such as "User", are speakers.

    Args:
        most: The largest number of turns of each speaker in one dialogue.
        casting: The choice of speakers; a user who chose them needs no note.
    """
    once = [name for name, count in most.items() if count == 1 and not is_role(name)]
    if casting.roles is not None or not once or max(most.values()) < 2:
        return []
    shown = ", ".join(map(repr, once[:MOST])) + ", ..." * (len(once) > MOST)
    who = "this speaker has" if len(once) == 1 else f"these {len(once):,} speakers have"
    return [f"{who} no more than one turn in a dialogue: {shown}; use --speakers to exclude or merge them"]
