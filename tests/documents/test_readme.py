"""What the README and the other documents show runs as it stands."""

import re
import warnings

import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import fastbp
from support.documents import DOCUMENTS, ROOT, TEXT

SNIPPETS = [re.sub(r"^ {3}", "", block, flags=re.M) for block in re.findall(r"```python\n(.*?)```", TEXT, re.S)]
CONFIGURATIONS = [snippet for snippet in SNIPPETS if snippet.lstrip().startswith("clf =")]


def test_the_readme_has_its_snippets():
    assert len(SNIPPETS) == 14
    assert len(CONFIGURATIONS) == 5


def test_every_block_of_commands_is_run_somewhere():
    blocks = re.findall(r"(?:<!-- ([\w-]+) -->\n)?```sh\n", TEXT)
    continuous_integration = set(
        re.findall(r"\$\((?:readme_commands?|commands?_of) ([\w-]+)", (ROOT / ".ci" / "run").read_text())
    )
    # isolated/test_distribution.py, isolated/test_memory.py, isolated/test_growth.py
    by_tests = {"table-commands", "memory-command", "growth-command"}
    assert sorted(blocks) == sorted(continuous_integration | by_tests)


def test_every_command_between_the_lines_is_run_somewhere():
    """And a new one is to be added here, with where that is."""
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.S)
    elsewhere = {
        'pip install "fastbp[cli,plot]"': "isolated/test_distribution.py",
        'pip install "fastbp[dask]"': "isolated/test_distribution.py",
        'pip install "fastbp[onnx]"': "isolated/test_distribution.py",
        'pip install "fastbp[plot]"': "isolated/test_distribution.py",
        "pytest -m isolated": ".ci/run",
        "bash .ci/run": ".ci/run",
        "python -m fastbp": ".ci/run, by the main command",
        "python -m fastbp warmup": "isolated/test_shared_cache.py",
        "python -m fastbp info": "isolated/test_distribution.py",
    }
    assert set(re.findall(r"`((?:pip|pytest|bash|python3?) [^`]*)`", prose)) == set(elsewhere)


def test_the_newest_change_is_this_version():
    versions = re.findall(r"^### (\d+[.]\d+[.]\d+)", TEXT.split("\n## Changes\n")[1], re.M)
    assert versions[0] == fastbp.__version__
    assert versions == sorted(versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)]*)\)", DOCUMENTS[path]):
        if link.startswith("http"):
            continue
        file, _, title = link.partition("#")
        target = ((ROOT / path).parent / file).resolve() if file else ROOT / path
        assert target.exists(), link
        if title:
            titles = re.findall(r"^#+ (.*)", target.read_text(), re.M)
            assert title in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in titles}, link


def test_the_snippets_run_one_after_the_other():
    scope = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for snippet in SNIPPETS:
            exec(snippet.lstrip(), scope)


@pytest.mark.parametrize("number", range(len(CONFIGURATIONS)))
def test_each_published_description_learns_the_digits(number):
    X, y = load_digits(n_class=4, return_X_y=True)
    X = StandardScaler().fit_transform(X)
    scope = {"BackpropClassifier": fastbp.BackpropClassifier}
    exec(CONFIGURATIONS[number].lstrip(), scope)
    clf = scope["clf"].set_params(max_iter=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X, y)
    assert clf.loss_curve_[-1] < 0.9 * clf.loss_curve_[0]
    assert clf.score(X, y) > 0.9
