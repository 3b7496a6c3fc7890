"""Files that the command line writes are whole or as they were."""

import os
import pathlib
import stat
import subprocess
import sys

import pytest

from fastbp.cli.errors import UserError
from fastbp.cli.output_files import write_whole


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (RuntimeError("a bug"), RuntimeError, "a bug"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (OSError(28, "No space left on device"), UserError, "cannot write m: No space left on device"),
    ],
)
def test_an_error_in_the_middle_of_writing_leaves_the_existing_file_whole(error, raised, message, folder):
    def write(stream):
        stream.write(b"half")
        stream.flush()
        raise error

    pathlib.Path("m").write_bytes(b"what was there")
    with pytest.raises(raised, match=message):
        write_whole("m", write)
    assert pathlib.Path("m").read_bytes() == b"what was there"
    assert {path.name for path in folder.iterdir()} == {"m"}


@pytest.mark.posix
def test_a_process_killed_in_the_middle_of_writing_leaves_the_existing_file_whole():
    pathlib.Path("m").write_bytes(b"what was there")
    program = """
import os, signal
from fastbp.cli.output_files import write_whole
def write(stream):
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_whole("m", write)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode < 0
    assert pathlib.Path("m").read_bytes() == b"what was there"


@pytest.mark.posix
def test_a_file_is_on_the_disk_before_it_gets_its_name(monkeypatch):
    events, fsync, replace = [], os.fsync, pathlib.Path.replace

    def recorded_fsync(handle):
        events.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else os.fstat(handle).st_size)
        fsync(handle)

    def recorded_replace(path, target):
        events.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(pathlib.Path, "replace", recorded_replace)
    write_whole("m", lambda stream: stream.write(b"12345"))
    assert events == [5, "name", "directory"]
    assert pathlib.Path("m").read_bytes() == b"12345"


@pytest.mark.posix
def test_permissions_and_links_stay_and_a_new_file_gets_the_usual_ones():
    mask = os.umask(0o027)
    try:
        write_whole("new", lambda stream: stream.write(b"1"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(os.stat("new").st_mode) == 0o640
    os.chmod("new", 0o604)
    os.symlink("new", "link")
    write_whole("link", lambda stream: stream.write(b"2"))
    assert os.path.islink("link")
    assert pathlib.Path("new").read_bytes() == b"2"
    assert stat.S_IMODE(os.stat("new").st_mode) == 0o604
