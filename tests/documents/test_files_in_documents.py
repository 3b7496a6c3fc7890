"""Every file of the package is once in the tables of the documents, and every file that they name exists."""

import re

from support.documents import DOCUMENTS, PACKAGE, ROOT

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


def test_files_that_documents_speak_of_exist():
    """Of fastbp, a document names paths relative to the package, to the document's folder or to the repository."""
    paths = r"`((?!\.venv)(?:[\w.]+/)+[\w.]*)`"
    named = [(name, path) for name in DOCUMENTS for path in re.findall(paths, DOCUMENTS[name])]
    assert [
        (name, path)
        for name, path in named
        if not any((base / path).exists() for base in ((ROOT / name).parent, PACKAGE, ROOT))
    ] == []
