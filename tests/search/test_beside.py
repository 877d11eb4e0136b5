"""What is kept inside an index."""

from __future__ import annotations

from pathlib import Path

from nearfar.search.beside import checked, made_beside


def test_a_folder_is_made_once_and_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    folder, made = tmp_path / "fields", []

    def make(part: Path) -> None:
        made.append(part)
        (part / "numbers").write_text("1")

    for _ in range(2):
        (tmp_path / ".fields.lock").touch()
        (tmp_path / ".fields.part").mkdir()
        made_beside(folder, make)
        assert [path.name for path in tmp_path.iterdir()] == ["fields"]
    assert len(made) == 1
    assert checked(folder) == folder
