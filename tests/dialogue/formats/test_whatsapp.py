"""Chats of WhatsApp in the forms of several languages and of both systems."""

# ruff: noqa: RUF001 - other scripts have characters that look like Latin ones
from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues, refused

TURNS = [("Anna", "hi there"), ("Ben", "hello: you?"), ("Anna", "fine")]
# The first line is the first message. MARK is U+200E, NARROW is U+202F.
STAMPS = {
    "iOS, English": "[12/31/23, {h}:{m}:02NARROWPM] ",
    "iOS, marks": "MARK[31.12.23, {h}:{m}:02] ",
    "iOS, Spanish": "[31/12/2024, {h}:{m}:02 p.NARROWm.] ",
    "iOS, Spanish, spaces": "[31/12/2024, {h}:{m}:02 p. m.] ",
    "iOS, Chinese": "[2024/5/12 下午{h}:{m}:02] ",
    "iOS, Korean": "[2024. 5. 12. 오후 {h}:{m}:02] ",
    "Android, English": "12/05/24, {h}:{m} - ",
    "Android, American": "5/12/24, {h}:{m} PM - ",
    "Android, German": "12.05.24, {h}:{m} - ",
    "Android, Spanish": "12/5/24, {h}:{m} p. m. - ",
    "Android, French": "12/05/2024 à {h}:{m} - ",
    "Android, Portuguese": "12/05/2024 {h}:{m} - ",
    "Android, Swedish": "2024-05-12 {h}:{m} - ",
    "Android, Dutch": "12-05-2024 {h}:{m} - ",
    "Android, Finnish": "12.5.2024 klo {h}.{m} - ",
    "Android, Czech": "12. 5. 2024 {h}:{m} - ",
    "Android, Japanese": "2024/05/12 {h}:{m} - ",
    "Android, Chinese": "2024/5/12 下午{h}:{m} - ",
    "Android, Turkish": "1.02.2024 ÖS {h}:{m} - ",
    "Android, Hindi": "1/2/24, {h}:{m} अपराह्न - ",
    "Android, Bulgarian": "1.02.24 г., {h}:{m} ч. - ",
    "Android, Hungarian": "2024. 02. 01. du. {h}:{m} - ",
    "iOS, Hebrew": "[MARK1.2.2024, {h}:{m}:12] MARK",
    "iOS, name of the month": "[1 févr. 2024, {h}:{m}:12] ",
    "iOS, edited": "[01/02/2024 {h}:{m}:12 | Edited 12:00:00] ",
    "Android, dash": "12.05.24, {h}:{m} \u2013 ",
}


def written(path: Path, text: str) -> Path:
    path.write_text(text.replace("MARK", "\u200e").replace("NARROW", "\u202f"), "utf-8")
    return path


@pytest.mark.parametrize("form", STAMPS)
def test_messages_of_every_form(form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    stamp = STAMPS[form]
    lines = [stamp.format(h=10, m=31 + number) + f"{who}: {text}" for number, (who, text) in enumerate(TURNS)]
    lines.insert(2, stamp.format(h=10, m=32) + "Anna added Carla")
    file = written(tmp_path / "chat.txt", "\n".join(lines) + "\n")
    assert dialogues(read(file)) == {"chat": TURNS}
    assert f"left out 1 lines with a time and without a speaker ({file}:3)" in caplog.text


def test_arabic_names_digits_and_marks(tmp_path: Path):
    lines = ["\u200f١٢\u200f/٥\u200f/٢٠٢٤, ١٠:٣١ ص - أحمد: مرحبا", "١٢\u200f/٥\u200f/٢٠٢٤, ١٠:٣٢ م - ليلى: أهلا"]
    file = written(tmp_path / "chat.txt", "\n".join(lines))
    assert dialogues(read(file)) == {"chat": [("أحمد", "مرحبا"), ("ليلى", "أهلا")]}


def test_korean_android_with_a_comma_before_the_name(tmp_path: Path):
    file = written(
        tmp_path / "chat.txt", "2024년 5월 12일 오전 10:31, 안나 : 안녕\n2024년 5월 12일 오전 10:32, 벤 : 네\n"
    )
    assert dialogues(read(file)) == {"chat": [("안나", "안녕"), ("벤", "네")]}


def test_messages_of_several_lines_phones_and_unknown_contacts(tmp_path: Path):
    text = (
        "[12/05/2024, 10:31:02] ~NARROWAnna: my list:\nOrder number: 555\n\nAgent: not a speaker\n"
        "[12/05/2024, 10:31:09] +49 170 1234567: see http://x.org: there\n"
        "[12/05/2024, 10:32:00] Anna 🌻: ok\n"
    )
    assert dialogues(read(written(tmp_path / "chat.txt", text)))["chat"] == [
        ("Anna", "my list: Order number: 555 Agent: not a speaker"),
        ("+49 170 1234567", "see http://x.org: there"),
        ("Anna 🌻", "ok"),
    ]


def test_what_the_app_writes_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    text = (
        "[12/05/2024, 10:30:00] Family: MARKMessages and calls are end-to-end encrypted. No one else can read them.\n"
        "[12/05/2024, 10:30:01] Family: MARKAnna created this group\n"
        "[12/05/2024, 10:31:00] Anna: hi\n"
        "MARK[12/05/2024, 10:31:30] Ben: MARKimage omitted\n"
        "[12/05/2024, 10:32:00] Ben: MARKBen changed the group description\n"
        "[12/05/2024, 10:32:10] Anna changed the subject to Party: Friday\n"
        "[12/05/2024, 10:32:20] Ben: MARKThis message was deleted.\n"
        "[12/05/2024, 10:33:00] Ben: hello\n"
    )
    found = dialogues(read(written(tmp_path / "chat.txt", text)))["chat"]
    assert found == [("Anna", "hi"), ("Ben", "image omitted"), ("Ben", "hello")]
    assert "left out 4 lines with a time and without a speaker" in caplog.text
    assert "left out 1 deleted messages" in caplog.text


def test_the_mark_of_edited_messages_is_no_speech(tmp_path: Path):
    text = (
        "[12/05/2024, 10:31:00] Anna: hi MARK<This message was edited>\n"
        "[12/05/2024, 10:31:01] Ben: hallo MARK<Diese Nachricht wurde bearbeitet.>\n"
        "[12/05/2024, 10:31:02] Anna: MARK<attached: 1.jpg>\n[12/05/2024, 10:31:03] Ben: see <b>\n"
    )
    assert [said for _, said in dialogues(read(written(tmp_path / "chat.txt", text)))["chat"]] == [
        "hi",
        "hallo",
        "<attached: 1.jpg>",
        "see <b>",
    ]


def test_android_media_and_the_notice_on_the_first_line(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    text = (
        "12/05/24, 10:30 - Messages and calls are end-to-end encrypted. Tap to learn more.\n"
        "12/05/24, 10:31 - Anna: <Media omitted>\n12/05/24, 10:31 - Ben: nice\n"
    )
    assert dialogues(read(written(tmp_path / "chat.txt", text)))["chat"] == [
        ("Anna", "<Media omitted>"),
        ("Ben", "nice"),
    ]
    assert "left out 1 lines" in caplog.text


def test_the_name_that_ios_gives_is_read_in_a_folder(tmp_path: Path):
    written(tmp_path / "_chat.txt", "[12/05/2024, 10:31:00] Anna: hi\n")
    assert dialogues(read(tmp_path)) == {"_chat": [("Anna", "hi")]}


def test_messages_are_sorted_by_their_times(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    text = "[13/05/2024, 10:33:00] Ben: second\n[12/05/2024, 10:31:00] Anna: first\n[14/05/2024, 0:01:00] Ben: third\n"
    found = dialogues(read(written(tmp_path / "chat.txt", text)))["chat"]
    assert [text for _, text in found] == ["first", "second", "third"]
    assert "contradict" in caplog.text


def test_the_order_of_day_and_month_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    # As month first the second line would be before the first.
    text = "30/11/24, 10:31 - Anna: first\n01/12/24, 10:31 - Ben: second\n02/01/25, 9:00 - Anna: third\n"
    found = dialogues(read(written(tmp_path / "chat.txt", text)))["chat"]
    assert [text for _, text in found] == ["first", "second", "third"]
    assert "contradict" not in caplog.text


def test_a_text_before_the_first_message_is_refused(tmp_path: Path):
    text = "12/05/24, 10:30 - Anna added Ben\n"
    assert refused(lambda: read(written(tmp_path / "chat.txt", text))) == ("chat.txt", None, None)


@pytest.mark.parametrize(
    "deleted",
    [
        "You deleted this message",
        "This message was deleted by admin Anna",
        "Hai eliminato questo messaggio",
        "U hebt dit bericht verwijderd",
        "Данное сообщение удалено",
        "Bu mesaj silindi",
        "Usunięto tę wiadomość",
        "Det här meddelandet har raderats",
        "此訊息已刪除",
        "このメッセージは削除されました。",
        "تم حذف هذه الرسالة",
    ],
)
def test_deleted_messages_of_many_languages_are_left_out(
    deleted: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    text = f"01.02.24, 09:05 - Anna: hi\n01.02.24, 09:06 - Ben: {deleted}\n01.02.24, 09:07 - Ben: ok\n"
    found = dialogues(read(written(tmp_path / "chat.txt", text)))["chat"]
    assert found == [("Anna", "hi"), ("Ben", "ok")]
    assert "chat.txt:2" in caplog.text


@pytest.mark.parametrize("mark", ["<Diese Nachricht wurde bearbeitet.>", "<Сообщение изменено>", "<已编辑>"])
def test_marks_of_edited_messages_on_android(mark: str, tmp_path: Path):
    text = f"01.02.24, 09:05 - Anna: hi {mark}\n01.02.24, 09:06 - Ben: see <b>\n"
    assert [said for _, said in dialogues(read(written(tmp_path / "chat.txt", text)))["chat"]] == ["hi", "see <b>"]


@pytest.mark.parametrize(("before", "after"), [("ÖÖ", "ÖS"), ("qq", "rr")])
def test_words_for_noon_do_not_disturb_the_order(before: str, after: str, tmp_path: Path):
    lines = [
        f"1.02.2024 {before} 11:59 - A: one",
        f"1.02.2024 {after} 12:06 - B: two",
        f"1.02.2024 {after} 1:06 - A: x",
    ]
    found = dialogues(read(written(tmp_path / "chat.txt", "\n".join(lines))))["chat"]
    assert [said for _, said in found] == ["one", "two", "x"]


def test_the_first_notice_without_its_mark_is_no_speech(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    text = (
        "[12/05/2024, 10:30:00] Trip: Messages and calls are end-to-end encrypted. Nobody else can read them.\n"
        "[12/05/2024, 10:31:00] Anna: is it end-to-end?\n[12/05/2024, 10:32:00] Ben: yes\n"
    )
    found = dialogues(read(written(tmp_path / "chat.txt", text)))["chat"]
    assert found == [("Anna", "is it end-to-end?"), ("Ben", "yes")]
    assert "chat.txt:1" in caplog.text
