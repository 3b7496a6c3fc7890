"""No module is so long that nobody reads it to its end, and no two test files have the same name."""

import pytest

from support.arrows import read_sources
from support.documents import PACKAGE, TESTS

MOST_LINES, MOST_TEST_LINES = 400, 600
# LONGER: longer modules, with the reason. A module that is no longer this long has to leave the list.
LONGER = {
    "encoding/encoder.py": "half of it is the documentation of the parameters",
    "estimators/classifier.py": "most of it is the documentation of the parameters",
    "estimators/regressor.py": "most of it is the documentation of the parameters",
}


def longer_than(most: int, folder) -> set[str]:
    return {path for path, source in read_sources(folder).items() if len(source.splitlines()) > most}


def test_only_modules_listed_with_a_reason_are_long():
    assert longer_than(MOST_LINES, PACKAGE) == set(LONGER)


def test_no_test_is_long():
    assert longer_than(MOST_TEST_LINES, TESTS) == set()


@pytest.mark.parametrize(("lines", "is_long"), [(400, False), (401, True)])
def test_a_long_module_is_seen(lines, is_long, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "module.py").write_text("x = 1\n" * lines)
    assert longer_than(MOST_LINES, tmp_path) == ({"inner/module.py"} if is_long else set())


def test_no_two_test_files_have_the_same_name():
    # pytest imports them by their names, without their folders, and refuses the second one.
    names = [path.rsplit("/", 1)[-1] for path in read_sources(TESTS) if "/test_" in path]
    assert sorted(names) == sorted(set(names))
