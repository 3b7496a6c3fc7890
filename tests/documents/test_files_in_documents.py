"""Every file of the package is once in the tables of the documents, and every file and function they name exists."""

import ast
import re

import pytest

from support.documents import DOCUMENTS, PACKAGE, ROOT, without_blocks

SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def in_tables(document):
    """The files in the tables of its section "Files" or "The files"."""
    (section,) = re.findall(r"\n## (?:The f|F)iles\n(.*?)\n## ", document, re.S)
    first_cells = re.findall(r"^\|(.*?)\|", section, re.M)
    return re.findall(r"`(\S+?\.py)`", " ".join(first_cells))


def test_the_tables_name_every_file_once_and_no_other():
    of_kernels = [f"kernels/{path}" for path in in_tables(DOCUMENTS["fastbp/kernels/README.md"])]
    self_evident = {path for path in SOURCES if path.endswith(("__init__.py", "__main__.py"))} - {"dask/__init__.py"}
    assert sorted(in_tables(DOCUMENTS["fastbp/README.md"]) + of_kernels) == sorted(set(SOURCES) - self_evident)


def found(name, path):
    """The file or folder that a document means: its path is relative to the document, the package or the repository."""
    places = [base / path for base in ((ROOT / name).parent, PACKAGE, ROOT)]
    return next((place for place in places if place.exists()), None)


def test_files_that_documents_speak_of_exist():
    paths = r"`((?!\.venv)(?:[\w.]+/)+[\w.]*)`"
    named = [(name, path) for name in DOCUMENTS for path in re.findall(paths, DOCUMENTS[name])]
    assert [(name, path) for name, path in named if not found(name, path)] == []


# ---------------------------------------------------------------- functions


def in_rows(document):
    """(function, file) of each row of the tables whose last columns are "file" and "function"."""
    for rows in re.findall(r"^\|.*\| file \| function \|\n\|[-| ]+\|\n((?:\|.*\n)+)", document, re.M):
        for row in rows.splitlines():
            *_, file, functions, _ = row.split("|")
            (path,), names = re.findall(r"`(\S+\.py)`", file), re.findall(r"`([\w.]+)`", functions)
            assert names, f"no function: {row}"
            yield from ((name, path) for name in names)


def in_sentences(document):
    """(name, file) where a sentence has "`name` in `file.py`", "`name` of `file.py`" or "`name` (`file.py`)"."""
    prose = re.sub(r"\s+", " ", without_blocks(document))
    return re.findall(r"`(\w[\w.]*)` (?:in |of |\()`([\w./]+\.py)`", prose)


def defined_in(source):
    """Functions, classes and tables of a file. A method is Class.method, also if a base in the same file has it."""
    names, methods = set(), {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inherited = [methods.get(ast.unparse(base), set()) for base in node.bases]
            own = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
            methods[node.name] = own.union(*inherited)
            names |= {node.name} | {f"{node.name}.{method}" for method in methods[node.name]}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return names


def unknown(name, document):
    """The pairs (function, file) of a document that do not exist; `name`: where the document lies."""
    pairs = [*in_rows(document), *in_sentences(document)]
    return [
        (function, path)
        for function, path in pairs
        if not (file := found(name, path)) or function not in defined_in(file.read_text())
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_functions_that_documents_place_in_a_file_are_there(name):
    assert unknown(name, DOCUMENTS[name]) == []


def test_the_decisions_and_the_cost_have_their_functions():
    for title, least in (("Decisions", 35), ("Where the cost J is put together", 12)):
        (section,) = re.findall(rf"\n(## {title}\n.*?)\n## ", DOCUMENTS["fastbp/README.md"], re.S)
        assert len(list(in_rows(section))) >= least


TABLE = "| question | file | function |\n| --- | --- | --- |\n| Where? | `{}` | `{}` |\n"


@pytest.mark.parametrize("form", [TABLE, "The function\n`{1}` in\n`{0}` does it.\n", "`{1}` of `{0}`", "`{1}` (`{0}`)"])
@pytest.mark.parametrize(
    ("path", "function", "is_there"),
    [
        ("kernels/delta.py", "backward", True),
        ("kernels/delta.py", "backwards", False),
        ("kernels/step.py", "backward", False),
        ("kernels/deltas.py", "backward", False),
        ("training/trainer.py", "Trainer.epoch", True),  # inherited
        ("training/trainer.py", "Trainer.loss", False),
        ("training/trainer.py", "epoch", False),
        ("kernels/losses.py", "RESIDUAL", True),
    ],
)
def test_a_function_that_is_not_there_is_seen(form, path, function, is_there):
    assert unknown("fastbp/README.md", form.format(path, function)) == ([] if is_there else [(function, path)])


@pytest.mark.parametrize("row", ["| Where? | `kernels/delta.py` | here |", "| Where? | there | `backward` |"])
def test_a_row_without_a_file_or_a_function_is_refused(row):
    with pytest.raises((AssertionError, ValueError)):
        unknown("fastbp/README.md", TABLE.split("| Where")[0] + row + "\n")
