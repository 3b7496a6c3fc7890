"""A test that needs what only POSIX has is marked, so that it is skipped on Windows."""

import re

import pytest

from support.arrows import read_sources
from support.documents import TESTS

# Names that Windows lacks, or that do something else there: os.kill ends the process at once, whatever the signal.
ONLY_POSIX = re.compile(
    r"\bos\.(fork|kill|killpg|umask|symlink|wait\w*|set[ug]id|get\w*[ug]id|sched_\w+|sysconf|getloadavg)\b"
    r"|\bsignal\.(SIG(?!INT\b)[A-Z]+|alarm)\b|\bimport resource\b|\"/(proc|dev|tmp)\b"
)
# A mark, or a question whether the system has the name.
GUARDS = re.compile(r"pytest\.mark\.(posix|skipif)|hasattr\(os, ")


def unguarded(sources):
    """The names that only POSIX has, by file, in files without any guard."""
    found = {path: {match[0] for match in ONLY_POSIX.finditer(source)} for path, source in sources.items()}
    return {path: names for path, names in found.items() if names and not GUARDS.search(sources[path])}


def test_what_only_posix_has_is_used_only_in_files_that_mark_such_tests():
    # conftest.py of isolated/ marks all its tests. Its helpers in support/ run only there.
    helpers = {"support/programs.py", "support/platforms.py"}
    default = {
        path: source
        for path, source in read_sources(TESTS).items()
        if not path.startswith("isolated/") and path not in {*helpers, "documents/test_posix_marks.py"}
    }
    assert unguarded(default) == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("os.kill(os.getpid(), 2)", {"os.kill"}),
        ("signal.signal(signal.SIGKILL, f)", {"signal.SIGKILL"}),
        ("signal.raise_signal(signal.SIGINT)", None),
        ("@pytest.mark.posix\ndef test():\n    os.fork()", None),
        ("if hasattr(os, 'fork'):\n    os.fork()", None),
    ],
)
def test_an_unguarded_name_is_seen(source, names):
    assert unguarded({"test_x.py": source}) == ({"test_x.py": names} if names else {})
