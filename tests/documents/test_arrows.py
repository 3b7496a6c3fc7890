"""Imports only go down, from floor to floor. No test imports another one."""

import ast
import re

import pytest

from support.arrows import FLOORS, arrows_of, complaints, read_sources
from support.documents import PACKAGE, TESTS, TEXT

# SOUND: a small package that keeps the rules, with a file of every floor and imports of every form.
SOUND = {
    "__init__.py": "from .estimators.base import Base\nfrom .version import __version__",
    "__main__.py": "from .cli.main import main",
    "cli/__init__.py": "",
    "cli/main.py": "from .. import Base, __version__\nfrom ..displays import draw\nfrom . import tables",
    "cli/tables.py": "import fastbp.extras",
    "dask/__init__.py": "from ..estimators import base\nfrom .cluster import Cluster",
    "dask/halving.py": "from ..model_selection.search import Search",
    "dask/cluster.py": "from . import worker\nfrom .worker import _joined",
    "dask/worker.py": "from ..training.trainer import Trainer",
    "displays/__init__.py": "def draw():\n    from .. import textbook",
    "onnx/networks.py": "from ..estimators.base import Base",
    "ensemble/__init__.py": "",
    "ensemble/base.py": "from ..estimators import base\nfrom ..textbook import forward",
    "tabular/base.py": "from ..encoding.encoder import Encoder\nfrom ..ensemble.base import Ensemble",
    "encoding/encoder.py": "from ..typing import Array\nfrom .columns import Column",
    "encoding/columns.py": "from ..typing import Array",
    "textbook.py": "from .training.trainer import Trainer",
    "model_selection/search.py": "from ..estimators.base import Base",
    "estimators/base.py": "import numpy as np\nfrom fastbp.training.trainer import Trainer\nTrainer._x = np._NoValue",
    "training/__init__.py": "",
    "training/trainer.py": "from ..parallel.team import Team\nfrom ..network import costs\ncosts.__name__",
    "data/examples.py": "from ..network.costs import work",
    "network/costs.py": "from ..kernels.products import affine\nfrom ..typing import Array",
    "kernels/__init__.py": "",
    "kernels/products.py": "from .machine.simd import load\nfrom .compiling import jit\nfrom .elementary import _e",
    "kernels/elementary.py": "from .compiling.jit import inlined",
    "kernels/machine/simd.py": "from ..compiling.jit import inlined\nfrom .barrier import meet",
    "kernels/machine/barrier.py": "",
    "kernels/compiling/jit.py": "from . import cache",
    "kernels/compiling/cache.py": "import os",
    "parallel/team.py": "from .pace import Pace\nfrom ..kernels.machine.simd import load",
    "parallel/pace.py": "",
    "typing.py": "from numpy.typing import NDArray",
    "extras.py": "",
    "version.py": "",
}
# UNSOUND: (file, line that is added to it, end of the complaint).
UNSOUND = [
    ("cli/tables.py", "from ..__main__ import x", "cli/tables.py:2 imports __main__.x: not downwards"),
    ("training/trainer.py", "from ..estimators.base import Base", "imports estimators.base.Base: not downwards"),
    (
        "training/trainer.py",
        "def f():\n    from .. import Base",
        "trainer.py:5 imports fastbp.Base: not downwards",
    ),
    ("training/trainer.py", "import fastbp.estimators.base", "imports estimators.base: not downwards"),
    ("training/trainer.py", "import fastbp", "imports fastbp: not downwards"),
    ("training/trainer.py", "from fastbp import estimators", "imports fastbp.estimators: not downwards"),
    ("training/__init__.py", "from ..estimators import base", "imports estimators.base: not downwards"),
    ("estimators/base.py", "from ..ensemble import base", "imports ensemble.base: not downwards"),
    ("ensemble/base.py", "from ..dask import Cluster", "imports dask.Cluster: not downwards"),
    ("onnx/networks.py", "from ..displays import draw", "imports displays.draw: not downwards"),
    ("estimators/base.py", "from ..encoding import encoder", "imports encoding.encoder: not downwards"),
    ("ensemble/base.py", "from ..tabular import base", "imports tabular.base: not downwards"),
    ("encoding/columns.py", "from ..dask import cluster", "imports dask.cluster: not downwards"),
    ("dask/__init__.py", "from .. import Base", "imports fastbp.Base: not downwards"),
    ("textbook.py", "from .estimators import base", "imports estimators.base: not downwards"),
    ("data/examples.py", "from ..training import trainer", "imports training.trainer: not downwards"),
    ("network/costs.py", "from ..data.examples import read", "imports data.examples.read: not downwards"),
    ("kernels/products.py", "from ..parallel.team import Team", "imports parallel.team.Team: not downwards"),
    ("extras.py", "from .version import __version__", "imports version.__version__: not downwards"),
    ("kernels/elementary.py", "from ..typing import Array", "kernels imports nothing but itself"),
    (
        "kernels/machine/simd.py",
        "from ...typing import Array",
        "Array: kernels imports nothing but itself",
    ),
    ("parallel/pace.py", "from .. import extras", "parallel imports nothing but itself and kernels"),
    ("network/costs.py", "from ..parallel import team", "imports parallel.team: not downwards"),
    ("parallel/team.py", "from ..network import costs", "imports network.costs: not downwards"),
    ("dask/worker.py", "from ..estimators import base", "of dask, only its __init__ imports estimators"),
    ("dask/cluster.py", "import fastbp.estimators.base", "of dask, only its __init__ imports estimators"),
    ("dask/__init__.py", "from ..model_selection import search", "of dask, only its halving imports model_selection"),
    ("displays/__init__.py", "from ..cli.tables import x", "imports cli.tables.x: not downwards"),
    ("__init__.py", "from . import cli", "imports cli: not downwards"),
    ("__main__.py", "from . import version", "__main__ imports only cli"),
    ("kernels/machine/simd.py", "from ..products import affine", "machine is below formulas"),
    ("kernels/compiling/jit.py", "from ..products import affine", "compiling is below formulas"),
    ("kernels/compiling/jit.py", "from ..machine import simd", "compiling is below machine"),
    ("kernels/products.py", "from .machine.simd import _emit", "imports kernels.machine.simd._emit: private"),
    ("network/costs.py", "from ..kernels.products import _place", "imports kernels.products._place: private"),
    ("network/costs.py", "from ..kernels import products\nproducts._place", "imports kernels.products._place: private"),
    ("cli/main.py", "import fastbp.network.costs\nfastbp.network.costs._x", "imports network.costs._x: private"),
    ("data/examples.py", "from ..network import costs as c\nc._work", "imports network.costs._work: private"),
    ("attic/old.py", "from ..typing import Array", "attic has no floor"),
    ("onnx/networks.py", "from ..attic import old", "attic has no floor"),
]


def test_imports_only_go_down():
    sources = read_sources(PACKAGE)
    assert len(list(arrows_of(sources))) > 100
    assert complaints(sources) == []


def test_a_package_that_keeps_the_rules_is_not_complained_of():
    assert complaints(SOUND) == []
    assert len(list(arrows_of(SOUND))) == 40  # counted by hand


@pytest.mark.parametrize(("path", "line", "said"), UNSOUND)
def test_every_rule_can_be_broken(path, line, said):
    sources = {"attic/__init__.py": "", "attic/old.py": "", **SOUND}
    sources[path] = f"{sources[path]}\n{line}"
    found = complaints(sources)
    assert {each.split(" ")[0] for each in found} == {f"{path}:{sources[path].count(chr(10)) + 1}"}
    assert any(each.endswith(said) for each in found), found


def test_every_folder_has_a_floor_and_every_floor_is_there():
    folders = {path.split("/")[0].removesuffix(".py") for path in read_sources(PACKAGE)}
    assert folders - {"__init__"} == {folder for floor in FLOORS for folder in floor} - {""}


def test_the_picture_of_the_floors_shows_the_floors_of_the_rules():
    (picture,) = re.findall(r"<!-- floors -->\n```text\n(.*?)```", TEXT, re.S)
    lines = [(int(line.split()[0]), re.findall(r"(\w+)(?:/|\.py)(?!\w)", line)) for line in picture.splitlines()]
    numbers = reversed(range(len(FLOORS)))
    assert lines == [(number, [*filter(None, floor)]) for number, floor in zip(numbers, FLOORS, strict=True)]


def imported_tests(source: str) -> list[str]:
    """The tests that a file imports, in programs for other processes too."""
    names = re.findall(r"^\s*(?:from|import)\s+(?:[\w.]*\.)?(test_\w+)", source, re.M)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names += re.findall(r"(?:^|[;\n])\s*(?:from|import)\s+(?:[\w.]*\.)?(test_\w+)", node.value)
    return names


def test_no_test_imports_another():
    assert {path: names for path, source in read_sources(TESTS).items() if (names := imported_tests(source))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from {} import MISTAKES",
        "def f():\n    import {}",
        "from kernels.{} import MISTAKES",
        'PROGRAM = "import {}; print(1)"',
        'PROGRAM = """\nimport json\nfrom {} import MISTAKES\n"""',
    ],
)
def test_an_import_of_a_test_is_seen(source):
    assert set(imported_tests(source.format("test_simd"))) == {"test_simd"}
    assert imported_tests(source.format("mistakes")) == []
