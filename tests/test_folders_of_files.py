"""Which files of a folder are read."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path, PurePath

import pytest

from feeds.cells.workbooks import files_of


def test_a_link_to_where_this_user_may_not_look_holds_up_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.csv").write_text("x")
    (tmp_path / "link.csv").symlink_to(tmp_path / "closed" / "far.csv")
    stat = Path.stat

    def refused(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.name == "link.csv" and follow_symlinks:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    assert files_of(tmp_path) == ([tmp_path / "good.csv"], [tmp_path / "link.csv"])


def test_a_folder_of_many_files_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop folder of years has thousands, and is looked at every few seconds."""
    names = [f"{number:04d}.csv" for number in range(500)]
    for name in names:
        (tmp_path / name).touch()
    compared = Counter[str]()
    equal = PurePath.__eq__

    def counted(path: PurePath, other: object) -> bool:
        compared["paths"] += 1
        return equal(path, other)

    monkeypatch.setattr(PurePath, "__eq__", counted)
    found, others = files_of(tmp_path)
    assert compared["paths"] <= len(names)
    assert ([path.name for path in found], others) == (names, [])
