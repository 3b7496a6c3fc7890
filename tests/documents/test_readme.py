"""Snippets and commands in the documents run as they stand. Statements about files, links and numbers are true."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import warnings

import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import fastbp
from support.documents import DOCUMENTS, PACKAGE, README, ROOT, TEXT, block, snippets, without_blocks

CONFIGURATIONS = [snippet for snippet in snippets(TEXT) if snippet.startswith("clf =")]


def test_the_documents_have_their_snippets():
    found = {name: len(snippets(document)) for name, document in DOCUMENTS.items() if snippets(document)}
    assert found == {"README.md": 12, "fastbp/README.md": 6}
    assert len(CONFIGURATIONS) == 5


def test_every_block_of_commands_is_run_somewhere():
    shown = [
        (marker, name)
        for name, document in DOCUMENTS.items()
        for marker in re.findall(r"(?:<!-- ([\w-]+) -->\n)? *```sh\n", document)
    ]
    continuous_integration = re.findall(r"\$\(commands?_of ([\w-]+) ([\w./]+)", (ROOT / ".ci" / "run").read_text())
    by_tests = [
        ("table-commands", "README.md"),  # isolated/test_distribution.py
        ("memory-command", "benchmarks/README.md"),  # isolated/test_memory.py
        ("accuracy-command", "benchmarks/README.md"),  # isolated/test_accuracy_script.py
        ("ablation-command", "benchmarks/README.md"),  # isolated/test_accuracy_script.py
        ("growth-command", "benchmarks/README.md"),  # isolated/test_growth.py
        ("busy-command", "benchmarks/README.md"),  # isolated/test_busy.py
        ("sparse-command", "benchmarks/README.md"),  # isolated/test_sparse_check.py
        ("ingredients-command", "benchmarks/README.md"),  # isolated/test_ingredients.py
        ("wheel-command", "fastbp/kernels/README.md"),  # isolated/test_distribution.py
        ("level-command", "fastbp/kernels/README.md"),  # isolated/test_levels.py
        ("debugger-command", "fastbp/kernels/README.md"),  # below
    ]
    assert sorted(shown) == sorted(continuous_integration + by_tests)


def test_every_command_in_prose_is_run_somewhere():
    """A new command must be added here, with the place that runs it."""
    elsewhere = {
        'pip install ".[cli,plot]"': "isolated/test_distribution.py",
        'pip install ".[dask]"': "isolated/test_distribution.py",
        'pip install ".[onnx]"': "isolated/test_distribution.py",
        'python3 -m venv .venv && .venv/bin/pip install -q -e ".[dev]"': ".ci/run",
        ".venv/bin/python -m pytest -q": ".ci/run",
        ".venv/bin/python -m pytest -q tests/kernels": ".ci/run, as a part of the test command",
        ".venv/bin/python -m pytest -q -m isolated": ".ci/run",
        ".venv/bin/ruff check": ".ci/run",
        ".venv/bin/ruff format --check": ".ci/run",
        ".venv/bin/mypy": ".ci/run",
        "bash .ci/run": ".ci/run",
        "python -m fastbp": ".ci/run, by the main command",
        "python -m fastbp warmup": "isolated/test_shared_cache.py",
        "python -m fastbp info": "isolated/test_distribution.py",
    }
    prose = re.sub(r"\s+", " ", without_blocks(TEXT))
    commands = re.findall(r"`((?:pip |pytest |bash |python3? |\.venv/)[^`]*)`", prose)
    assert set(commands) == set(elsewhere)


def test_the_command_with_a_debugger_stops_in_a_kernel():
    lines = (PACKAGE / "kernels" / "delta.py").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("def backward("))
    stop = next(i for i in range(begin, len(lines)) if " in range(" in lines[i]) + 1
    done = subprocess.run(
        block("debugger-command", "sh").replace(".venv/bin/python", shlex.quote(sys.executable)),
        input=f"b fastbp/kernels/delta.py:{stop}\nc\np 'layers', layers.size\nq\n",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert f"delta.py({stop})backward()" in done.stdout, done.stdout + done.stderr
    assert "('layers', 3)" in done.stdout


def test_the_newest_change_is_this_version():
    versions = re.findall(r"^### (\d+[.]\d+[.]\d+)", README.split("\n## Changes\n")[1], re.M)
    assert versions[0] == fastbp.__version__
    assert versions == sorted(versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True)


def anchors(document):
    titles = re.findall(r"^#+ (.*)", without_blocks(document), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\(([^)]*)\)", DOCUMENTS[name]):
        path, _, anchor = link.partition("#")
        if link.startswith("http"):
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        assert (ROOT / target).exists(), link
        assert not anchor or anchor in anchors(DOCUMENTS[target]), link


def test_the_readme_has_the_means_of_the_benchmarks():
    means = re.findall(r"Geometric mean of .*?: (.*) over .*?, (.*) over .*?, (.*) over JAX", TEXT)
    assert len(means) == 2
    claim = re.search(r"In float32, fastbp trained (.*?) It was slower", re.sub(r"\s+", " ", README))[1]
    assert re.findall(r"\d+\.\d+", claim) == [number for of_dtype in means for number in of_dtype]


@pytest.mark.parametrize("name", ["README.md", "fastbp/README.md"])
def test_the_snippets_run_one_after_the_other(name):
    scope, has_onnx = {}, importlib.util.find_spec("onnxruntime") is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for snippet in snippets(DOCUMENTS[name]):
            if has_onnx or "onnx" not in snippet:  # not every Python has onnxruntime
                exec(snippet, scope)


@pytest.mark.parametrize("number", range(len(CONFIGURATIONS)))
def test_each_published_description_learns_the_digits(number):
    X, y = load_digits(n_class=4, return_X_y=True)
    X = StandardScaler().fit_transform(X)
    scope = {"BackpropClassifier": fastbp.BackpropClassifier}
    exec(CONFIGURATIONS[number], scope)
    clf = scope["clf"].set_params(max_iter=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X, y)
    assert clf.loss_curve_[-1] < 0.9 * clf.loss_curve_[0]
    assert clf.score(X, y) > 0.9
