"""A file appears whole or not at all, where the disk is full, too."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from streams import export, readers
from streams.errors import OutputError
from streams.files import write_whole
from streams.settings import Settings


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_does_not_fit_leaves_the_one_before_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "sheet.pdf"
    write_whole(file, b"yesterday")
    with small_disk(1000), pytest.raises(OutputError, match=r"sheet.pdf can't be written .*free space"):
        write_whole(file, b"x" * 5000)
    assert file.read_bytes() == b"yesterday"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link_and_a_pipe_is_written_itself(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(file)
    write_whole(link, b"new")
    assert link.is_symlink() and file.read_bytes() == b"new"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"piped")
    assert os.read(reader, 100) == b"piped" and pipe.is_fifo()
    os.close(reader)


def test_an_export_that_does_not_fit_leaves_no_half_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("market_signals", "security_signals", "industry_signals", "newest_alerts"):
        monkeypatch.setattr(readers, name, lambda *_, **__: [])
    table = pd.DataFrame({"a": range(200_000)})
    monkeypatch.setattr(export, "details_table", lambda _: table)
    with small_disk(100_000), pytest.raises(OutputError, match=r"details.parquet can't be written"):
        export.export(Settings(), tmp_path, "")
    assert [one.name for one in tmp_path.iterdir()] == ["market.parquet"]
