"""Whose turns count, and under which names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfar.errors import InputError

MOST = 6
"""Speakers that a graph can keep apart, by colour and mark."""


@dataclass(frozen=True)
class Casting:
    """Names as they stand in the log -> roles in the graph. Capitals do not matter.

    Args:
        roles: Folded name -> role; None: every name is its own role.
        rest: The role of all names not in `roles`; None leaves them out.
    """

    roles: Mapping[str, str] | None = None
    rest: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Casting:
        """Read `user,agent`, or with several names a role: `user=Caller|Customer,agent=*` (`*`: everyone else).

        Raises:
            InputError: a part is empty, a name or role stands twice, or there are too many roles.
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
                problem = f"{part.strip()!r} in {text!r} names no speaker"
                raise InputError(problem, field="--speakers", remedy="write for example user,agent=Anna|Ben")
            if role in seen:
                raise InputError(f"{role!r} stands twice in {text!r}", field="--speakers", remedy="keep one")
            seen.append(role)
            for name in members:
                if name.casefold() in roles or (name == "*" and rest is not None):
                    raise InputError(f"{name!r} stands twice in {text!r}", field="--speakers", remedy="keep one")
                if name == "*":
                    rest = role
                else:
                    roles[name.casefold()] = role
        if len(seen) > MOST:
            raise InputError(f"{len(seen)} roles are more than {MOST}", field="--speakers", remedy="join some of them")
        return cls(roles, rest)

    def role(self, speaker: str) -> str | None:
        """The role of a speaker; None if his turns do not count."""
        name = " ".join(speaker.split())
        if self.roles is None:
            return name
        return self.roles.get(name.casefold(), self.rest)

    def check(self, found: Sequence[str], heard: Iterable[str], file: str | Path | None) -> None:
        """See that every role asked for speaks, and that there are not too many.

        Args:
            found: The roles that spoke.
            heard: Everybody who spoke, in the order of how much.
            file: The source, for messages.

        Raises:
            InputError: otherwise.
        """
        if self.roles is not None:
            asked = [*self.roles.values(), *([self.rest] if self.rest else [])]
            for role in asked:
                if role not in found:
                    problem = f"nobody in the dialogues speaks as {role!r}"
                    remedy = f"those who speak are {', '.join(list(heard)[:MOST])}"
                    raise InputError(problem, file=file, field="--speakers", remedy=remedy)
        if len(found) > MOST:
            names = ", ".join(found[:MOST])
            problem = f"{len(found)} speakers ({names}, ...) are more than {MOST}"
            remedy = f"say who is who: --speakers {found[0]},others=*"
            raise InputError(problem, file=file, field="--speakers", remedy=remedy)
