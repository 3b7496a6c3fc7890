"""The package is as fastbp/README.md draws it: every file is in its tables, and imports only go down its floors."""

import ast
import re

import pytest

from support.documents import DOCUMENTS, PACKAGE, ROOT, block

# Where each folder or file of fastbp stands; `__init__.py`, which has the public names, is no part of the building.
FLOORS = {
    name: int(floor)
    for floor, names in re.findall(r"^(\d)   (\S+(?: {3}\S+)*)", block("floors", "text"), re.M)
    for name in names.split()
}
GROUND = {name for name, floor in FLOORS.items() if floor == 0}
CLOSED = {"kernels/", "parallel/"}  # import nothing from outside
SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def house(path):
    """The name on its floor of a file."""
    top, separator, _ = path.partition("/")
    return top + separator


def imports(path):
    """(house, name) of what a file imports from the package; the name is what it takes from there."""
    here = path.split("/")
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = [*here[: len(here) - node.level], *(node.module or "").split(".")]
            for alias in node.names:
                first = next((part for part in [*parts, alias.name] if part), "")
                if (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").exists():
                    yield first + ("/" if (PACKAGE / first).is_dir() else ".py"), alias.name


def test_every_file_stands_on_a_floor():
    assert {house(path) for path in SOURCES} - {"__init__.py"} == set(FLOORS)
    assert sorted(set(FLOORS.values())) == list(range(9))


@pytest.mark.parametrize("path", [path for path in SOURCES if path != "__init__.py"])
def test_imports_go_down(path):
    own = house(path)
    for other, name in imports(path):
        if other == own:
            continue
        assert own not in CLOSED, f"{path} imports {name} from {other}"
        assert other in GROUND or FLOORS[other] < FLOORS[own], f"{path} imports {name} from {other}"
        assert not name.startswith("_") or name == "__version__", f"{path} imports the private {name} of {other}"
        assert (own, other) != ("network/", "parallel/")
        assert (path, other) != ("dask/worker.py", "estimators/")


def in_tables(document):
    """The files in the tables of its section "Files" or "The files"."""
    (section,) = re.findall(r"\n## (?:The f|F)iles\n(.*?)\n## ", document, re.S)
    first_cells = re.findall(r"^\|(.*?)\|", section, re.M)
    return re.findall(r"`(\S+?\.py)`", " ".join(first_cells))


def test_the_tables_name_every_file_once_and_no_other():
    of_kernels = [f"kernels/{path}" for path in in_tables(DOCUMENTS["fastbp/kernels/README.md"])]
    self_evident = {path for path in SOURCES if path.endswith(("__init__.py", "__main__.py"))} - {"dask/__init__.py"}
    assert sorted(in_tables(DOCUMENTS["fastbp/README.md"]) + of_kernels) == sorted(set(SOURCES) - self_evident)


def test_files_that_documents_speak_of_exist():
    """Of fastbp: a path in a document is relative to the package, to its folder or to the repository."""
    paths = r"`((?!\.venv)(?:[\w.]+/)+[\w.]*)`"
    named = [(name, path) for name in DOCUMENTS for path in re.findall(paths, DOCUMENTS[name])]
    assert [
        (name, path)
        for name, path in named
        if not any((base / path).exists() for base in ((ROOT / name).parent, PACKAGE, ROOT))
    ] == []
