"""Chats that WhatsApp exports, of iOS and of Android, in the forms of many languages.

    [12/05/2024, 10:31:02 a. m.] Anna: hi           iOS
    12.05.24, 10:31 - Anna: hallo                   Android
    12.05.24, 10:32 - Anna added Ben                no turn

The export does not say whether the day or the month is first; see `times.moments`.
"""

# ruff: noqa: RUF001 - other scripts have characters that look like Latin ones
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nearfar.data.times import DATE, NOON, date_numbers, is_known, moments, seconds
from nearfar.dialogue.formats.names import MOST_WORDS
from nearfar.dialogue.formats.order import in_order, numbered_again
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, cleaned, numbered, stem
from nearfar.errors import InputError

# The words for before and after noon differ in each language: any short word is one.
_WORD = r"[^\d\s:,()\[\]|-]{1,12}"
_CLOCK = rf"(?:(?:{NOON}|{_WORD}) ?)?\d{{1,2}}[:.]\d{{2}}(?:[:.]\d{{2}})?(?: ?(?:{NOON}|{_WORD}))?"
# Between date and time some languages have a word: "12.5.2024 klo 10.31".
_STAMP = rf"({DATE})(?:[,\u060c]? ?(?:à|klo|um|at|kl\.?|[,\u060c])?) ?({_CLOCK})"
# Skype, which has the same lines, adds when a message was edited.
_IOS = re.compile(rf"\[ ?{_STAMP} ?(?:\|[^\[\]]{{0,60}})?\] ?")
_ANDROID = re.compile(rf"{_STAMP} ?(?: [-\u2013](?: |$)|, (?=[^:]{{1,60}} : ))")
# What WhatsApp itself writes into the text of a message begins with this mark.
_MARK = "\u200e"
_NOTICE = re.compile(
    "end-to-end|ende-zu-ende|extremo a extremo|bout en bout|ponta a ponta|uçtan uca|сквозн|端到端|端對端|"
    "エンドツーエンド|종단 간|بين الطرفين",
    re.IGNORECASE,
)
_DELETED = re.compile(
    r"(?:this message was deleted(?: by admin .+)?|you deleted this message(?: as admin)?|"
    r"diese nachricht wurde (?:von .+ )?gelöscht|du hast diese nachricht (?:als admin )?gelöscht|"
    r"(?:se eliminó|eliminaste) este mensaje|este mensaje fue eliminado|"
    r"ce message a (?:été|\u00e9t\u00e9) supprimé|vous avez supprimé ce message|"
    r"mensagem apagada|(?:essa|esta) mensagem foi (?:apagada|eliminada)|(?:você apagou|eliminou|apagou) esta mensagem|"
    r"questo messaggio è stato eliminato|hai eliminato questo messaggio|"
    r"dit bericht is verwijderd|(?:u hebt|je hebt) dit bericht verwijderd|"
    r"данное сообщение удалено|вы удалили данное сообщение|сообщение удалено|"
    r"bu mesaj silindi|bu mesajı sildiniz|usunięto tę wiadomość|ta wiadomość została usunięta|"
    r"det här meddelandet (?:har raderats|raderades)|du raderade det här meddelandet|"
    r"denne (?:meddelelse|besked) (?:blev|er) slettet|denne meldingen ble slettet|du slettet denne meldingen|"
    r"tämä viesti (?:on )?poistettu|pesan ini telah dihapus|pesan ini dihapus|anda menghapus pesan ini|"
    r"تم حذف هذه الرسالة|(?:لقد )?حذفت هذه الرسالة|ההודעה (?:הזו )?נמחקה|הודעה זו נמחקה|מחקת הודעה זו|"
    r"यह संदेश हटाया गया|यह मैसेज डिलीट किया गया|این پیام حذف شد|"
    r"此消息已(?:被)?删除|你删除了此消息|已删除此消息|此訊息已(?:被)?刪除|(?:你|您)已?刪除(?:了)?此訊息|"
    r"このメッセージは削除されました|このメッセージを削除しました|"
    r"삭제된 메시지입니다|이 메시지는 삭제되었습니다|메시지를 삭제했습니다)[.。]?",
    re.IGNORECASE,
)
# What the app writes behind the text of a message that was edited.
_EDITED = re.compile(
    r"(?<=\S)\s*(?:\u200e<[^<>]{0,80}>|<[^<>]{0,80}(?:edited|bearbeitet|edit(?:ó|ado|ada)|modifi(?:é|cato)|bewerkt|"
    r"изменено|düzenlendi|edytowan|redigera|redigeret|redigert|muokattu|diedit|تعديل|נערכה|已编辑|已編輯|編集|수정|"
    r"संपादित)[^<>]{0,80}>)\s*$",
    re.IGNORECASE,
)
_LONGEST_NAME, _START, _SHORT = 80, 300, 40
NO_SPEAKER = "lines with a time and without a speaker"


@dataclass
class _Message:
    place: int
    date: str
    clock: str
    name: str
    text: list[str] = field(default_factory=list)
    by_app: bool = False


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file.

    Lines without a time continue a message. Messages of the app (who joined, what was encrypted or deleted) are left
    out; placeholders of images and the like are turns of who sent them.

    Raises:
        InputError: a file cannot be read, begins with something else than a message, or has no message of a person.
    """
    for file in files:
        yield Dialogue(stem(file), _turns(file, context.about(file)))


def _turns(file: Path, notes: Notes) -> list[Spoken]:
    messages = list(_messages(file))
    _take_names_from_notices(messages)
    turns, kept = [], []
    for message in messages:
        text = " ".join(filter(None, (cleaned(_EDITED.sub("", part)) for part in message.text)))
        if not message.name:
            notes.left_out(NO_SPEAKER, message.place)
        elif _DELETED.fullmatch(text):
            notes.left_out("deleted messages", message.place)
        else:
            turns.append(Spoken(message.name, text, message.place))
            kept.append(message)
    if not turns:
        raise InputError("contains no message of a person", file=file, remedy="export the chat again, or remove it")
    if not all(is_known(message.clock) for message in messages):
        return turns
    # All stamps help to see whether the day or the month is first.
    stamps = moments([date_numbers(m.date) for m in messages], [seconds(m.clock) for m in messages])
    of = {message.place: stamp for message, stamp in zip(messages, stamps, strict=True)}
    turns, note = in_order(numbered_again(turns, [of[message.place] for message in kept]))
    if note is not None:
        notes.remarks.append(note)
    return turns


def _messages(file: Path) -> Iterator[_Message]:
    held: _Message | None = None
    for place, raw in numbered(file):
        stamp = _stamp(raw)
        if stamp is None:
            if held is not None:
                held.text.append(raw)
            elif cleaned(raw):
                problem = f"expected a date and a time at the beginning of the line, got {cleaned(raw)[:40]!r}"
                raise InputError(problem, file=file, line=place, remedy="remove what is before the first message")
            continue
        if held is not None:
            yield held
        date, clock, rest = stamp
        name, colon, text = rest.partition(":")
        if not colon or (text and not text[0].isspace() and text[0] != _MARK):
            name, colon, text = rest.partition("\uff1a")
        name = cleaned(name).removeprefix("~").strip()
        if (
            not colon
            or not name
            or len(name) > _LONGEST_NAME
            or any(mark in name for mark in '"\u201c\u201d\u201e\u00ab\u300c\u300e\u300a')
        ):
            name, text = "", rest
        held = _Message(place, date, clock, name, [text], text.lstrip().startswith(_MARK))
    if held is not None:
        yield held


def _take_names_from_notices(messages: list[_Message]) -> None:
    """Remove the names before messages of the app: a group's own name, or a member's ("Anna: Anna added Ben")."""
    people = {message.name for message in messages if message.name and not message.by_app}
    heard = Counter(message.name for message in messages if message.name)
    groups = {m.name for m in messages if m.by_app and m.name not in people and _NOTICE.search(m.text[0])}
    for number, message in enumerate(messages):
        text = cleaned(message.text[0])
        # Programs that copy a chat drop marks; every chat begins with this notice.
        first = number == 0 and len(text) > _SHORT
        notice = _NOTICE.search(text) and (message.by_app or message.name not in people or first)
        about = message.by_app and any(text.startswith(f"{name} ") for name in heard)
        if message.name in groups or notice or about or _is_sentence(message.name, heard):
            message.name = ""


def _is_sentence(name: str, heard: Counter[str]) -> bool:
    """Whether a "name" is the beginning of a message of the app: "Anna changed the subject to Party: Friday"."""
    if heard[name] != 1:
        return False
    return len(name.split()) > MOST_WORDS or any(
        name.startswith(f"{other} ") and name[len(other) + 1].islower() for other in heard if other
    )


def _stamp(raw: str) -> tuple[str, str, str] | None:
    """Date, time and the rest of a line that begins with them; the rest keeps the marks of the app."""
    start = cleaned(raw[:_START])
    found = _IOS.match(start) or _ANDROID.match(start)
    if found is None:
        return None
    # The stamp has as many visible characters in the line as in its cleaned form.
    left = sum(not character.isspace() for character in start[: found.end()])
    at = 0
    while left:
        left -= bool(cleaned(raw[at]))
        at += 1
    return found[1], found[2], raw[at:].lstrip(" \t\u202f\u00a0")


def _detect(head: Head) -> bool:
    """Whether the first line has a date and a time in one of the app's forms, before a name or a message of the app."""
    first = next(iter(head.lines), "")
    return _stamp(first) is not None


FORMAT = Format("WhatsApp", (".txt",), _detect, read)
