"""The documents of the repository. Tests run and compare their commands, snippets, tables and recipes."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
TESTS, PACKAGE = ROOT / "tests", ROOT / "fastbp"
FOLDERS = ("", "fastbp", "fastbp/kernels", "benchmarks", "tests", ".github")
# Documents by path from the root. The README comes first.
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text() for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.md"))
}
README = DOCUMENTS["README.md"]
# The text of all documents, so that a test finds its block in any of them.
TEXT = "\n".join(DOCUMENTS.values())

# The types that the snippet on skops trusts.
TRUSTED = re.findall(r'"(fastbp\.[\w.]+)"', re.search(r"^trusted = \[.*?^loaded", README, re.S | re.M)[0])


def block(marker: str, language: str) -> str:
    """The fenced block of this language after <!-- marker -->, in any document."""
    (found,) = re.findall(rf"<!-- {marker} -->\n```{language}\n(.*?)```", TEXT, re.S)
    return found


def printed_by(marker: str, script: str, *more: str) -> str:
    """What a script prints. The command is the one line after <!-- marker -->, `more`: options for fewer runs."""
    (command,) = block(marker, "sh").splitlines()
    python, path, *options = command.split()
    assert (python, path) == ("python", script)
    done = subprocess.run(
        [sys.executable, script, *options, *more], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def snippets(document: str) -> list[str]:
    """The Python blocks of a document, one after the other."""
    blocks = re.findall(r"^( *)```python\n(.*?)```", document, re.M | re.S)
    return [re.sub(f"^{indent}", "", each, flags=re.M) for indent, each in blocks]


def without_blocks(document: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^ *```.*?```", "", document, flags=re.M | re.S)
