"""Whether a process may have lost Numba's threads by a fork before the import."""

import pytest

from fastbp.parallel import fork


def no_such_file(path):
    raise FileNotFoundError(path)


def stat_with_flags(flags):
    return lambda path: f"7 (a (name) 8 9) S 1 7 7 0 -1 {flags} 1 2 3"


@pytest.mark.parametrize(
    ("read_text", "lost"),
    [
        (no_such_file, True),  # not Linux
        (stat_with_flags(0), True),  # some emulated kernel
        (stat_with_flags(0x400040), True),
        (stat_with_flags(0x400000), False),
    ],
)
def test_only_a_process_that_surely_was_not_forked_keeps_threads_from_before_the_import(monkeypatch, read_text, lost):
    def not_started():
        raise ValueError("Threading layer is not initialized.")

    monkeypatch.setattr(fork.pathlib.Path, "read_text", read_text)
    monkeypatch.setattr(fork.numba, "threading_layer", lambda: "omp")
    assert fork._may_have_lost_threads() == lost
    monkeypatch.setattr(fork.numba, "threading_layer", not_started)
    assert not fork._may_have_lost_threads()
