"""The distributions, as a user gets them: built, checked, installed without the sources, typed, with their extras."""

import email
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest

import fastbp
from fastbp.kernels.compiling import target
from support.documents import DOCUMENTS, ROOT, TEXT, block, snippets

TIMEOUT = 1200  # seconds; turns a hang into a failure

FIT = """
import fastbp
from sklearn.datasets import load_iris

assert "site-packages" in fastbp.__file__, fastbp.__file__
X, y = load_iris(return_X_y=True)
print(fastbp.BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), random_state=0).fit(X, y).score(X, y))
"""
# COMPILING_FIT prints the number of kernels that a first fit and a first prediction compile.
COMPILING_FIT = f"""
from fastbp.kernels.compiling import cache

compiled = []
cache.on_compile = lambda: compiled.append(True)
{FIT}
print(len(compiled))
"""
TYPED = """
import numpy as np
from fastbp import BackpropClassifier, BackpropRegressor, textbook

X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
clf = BackpropClassifier((5,), alpha=0.1)
reveal_type(clf.fit(X, y))
reveal_type(clf.partial_fit(X, y))
reveal_type(clf.predict_proba(X))
reveal_type(clf.coefs_)
reveal_type(clf.loss_curve_)
reveal_type(textbook.forward(X, [], None))
BackpropRegressor(alpha="much")
"""


def run(*command, folder, **environment):
    """The output of a command, run where the sources cannot be imported from."""
    settings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=settings | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("distributions")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, folder=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions):
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def platform_wheel(tmp_path_factory):
    """A wheel with compiled kernels for CPUs like this one."""
    level = target.best_level(target.TRIPLE, target.FEATURES)
    if not level:
        pytest.skip("this CPU has no level")
    folder = tmp_path_factory.mktemp("platform_wheel")
    command = block("wheel-command", "sh").replace("x86-64-v3,x86-64-v4", level)
    assert f"={level} " in command
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run("bash", "-euc", command, folder=ROOT, PATH=path, PIP_WHEEL_DIR=str(folder))
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of a fresh virtual environment with the wheel and its requirements, and nothing else."""
    return environment_of(wheel, tmp_path_factory)


def environment_of(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, folder=folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheel, folder=folder)
    return python


@pytest.fixture(scope="module")
def with_extras(installed, wheel, tmp_path_factory):
    """The same with all extras that the README names."""
    extras = sorted(set(",".join(re.findall(r'pip install "\.\[(.*?)\]"', TEXT)).split(",")))
    assert extras == ["cli", "dask", "onnx", "plot"]
    folder = tmp_path_factory.mktemp("extras")
    run(installed, "-m", "pip", "install", "-q", f"{wheel}[{','.join(extras)}]", folder=folder)
    return installed


def test_the_sdist_has_what_its_tests_need_and_the_wheel_only_the_package(distributions, wheel):
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "fastbp").rglob("*.py")} | {"fastbp/py.typed"}
    sources |= {name for name in DOCUMENTS if name.startswith("fastbp/")}
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert files == sources
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = {name.split("/", 1)[1] for name in archive.getnames()}
    assert (
        sources
        | tests
        | {*DOCUMENTS, "LICENSE", "pyproject.toml", ".ci/run", ".ci/platform_wheel.py", "benchmarks/speed.png"}
        <= files
    )
    assert not [name for name in files if "cache" in pathlib.PurePath(name).parts[-1] and not name.endswith(".py")]


def test_the_metadata_are_complete_and_pass_the_index_s_check(distributions, wheel):
    pytest.importorskip("twine")
    run(sys.executable, "-m", "twine", "check", "--strict", *distributions.iterdir(), folder=distributions)
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Version"] == fastbp.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Description-Content-Type"] == "text/markdown"
    for field in ("Name", "Summary", "Author", "Keywords", "License-File", "Requires-Python"):
        assert metadata[field]
    classifiers = metadata.get_all("Classifier")
    assert "Typing :: Typed" in classifiers
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14, 15)} <= set(classifiers)
    required = [name for name in metadata.get_all("Requires-Dist") if "extra ==" not in name]
    assert sorted(re.match(r"\w[\w-]*", name).group() for name in required) == ["numba", "numpy", "scikit-learn"]


def test_the_wheel_alone_fits_and_tells_of_itself(installed, tmp_path):
    assert float(run(installed, "-W", "error", "-c", FIT, folder=tmp_path)) > 0.95
    assert f"{fastbp.__version__}, " in run(installed, "-m", "fastbp", "info", folder=tmp_path)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    train = [installed, "-m", "fastbp", "train", "data.csv", "--target", "b"]
    done = subprocess.run(train, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 2
    assert 'pip install "fastbp[cli]"' in done.stderr


def test_the_first_fit_compiles_nothing_with_the_wheel_of_a_platform(platform_wheel, tmp_path_factory, tmp_path):
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert platform_wheel.name.startswith(f"fastbp-{fastbp.__version__}-{python}-{python}")
    assert target.MACHINE in platform_wheel.name
    installed = environment_of(platform_wheel, tmp_path_factory)
    score, compiled = run(installed, "-W", "error", "-c", COMPILING_FIT, folder=tmp_path).split()
    assert float(score) > 0.95
    assert int(compiled) == 0
    printed = run(installed, "-m", "fastbp", "info", folder=tmp_path)
    assert f" for {target.best_level(target.TRIPLE, target.FEATURES)}, " in printed


def test_an_unknown_level_stops_the_build_with_the_names_of_all_levels(tmp_path):
    pytest.importorskip("build")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    environment = os.environ | {"FASTBP_PREBUILT": "x86-64-v9"}
    done = subprocess.run(build, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "FASTBP_PREBUILT names levels of x86-64-v3, x86-64-v4, aarch64, or is all; got x86-64-v9" in said


def test_a_strict_type_checker_sees_the_types_of_the_wheel(installed, tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "snippet.py").write_text(TYPED)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, "snippet.py"]
    done = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(revealed) == 6, done.stdout + done.stderr
    assert revealed[:2] == ["fastbp.estimators.classifier.BackpropClassifier"] * 2
    assert revealed[2].startswith("numpy.ndarray")
    assert revealed[3].startswith("list[numpy.ndarray")
    assert revealed[4] == "list[float]"
    assert revealed[5].startswith("list[numpy.ndarray")
    (error,) = re.findall(r"error: (.*)", done.stdout)
    assert '"alpha" to "BackpropRegressor" has incompatible type "str"' in error


def test_the_snippets_of_the_documents_run_with_the_extras_that_the_readme_names(with_extras, tmp_path):
    program = tmp_path / "snippets.py"
    program.write_text("\n".join(snippets(TEXT)))
    run(with_extras, "-W", "ignore", program, folder=tmp_path, MPLBACKEND="Agg")


def test_the_commands_of_the_readme_train_and_predict(with_extras, tmp_path):
    rows = "".join(f"{number},{'odd' if number > 50 else 'even'}\n" for number in range(100))
    (tmp_path / "data.csv").write_text("number,COLUMN\n" + rows)
    path = f"{with_extras.parent}{os.pathsep}{os.environ['PATH']}"
    run("bash", "-euo", "pipefail", "-c", block("table-commands", "sh"), folder=tmp_path, PATH=path)
    header, *predicted = (tmp_path / "predictions.csv").read_text().splitlines()
    assert header == "COLUMN,probability of even,probability of odd"
    assert len(predicted) == 100
    assert (tmp_path / "model.fastbp").stat().st_size > 0
