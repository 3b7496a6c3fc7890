"""What the README shows runs as it stands."""

import pathlib
import re
import warnings

import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import fastbp

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = [re.sub(r"^ {3}", "", block, flags=re.M) for block in re.findall(r"```python\n(.*?)```", README, re.S)]
CONFIGURATIONS = [snippet for snippet in SNIPPETS if snippet.lstrip().startswith("clf =")]


def test_the_readme_has_its_snippets():
    assert len(SNIPPETS) == 14
    assert len(CONFIGURATIONS) == 5


def test_every_block_of_commands_is_run_somewhere():
    blocks = re.findall(r"(?:<!-- ([\w-]+) -->\n)?```sh\n", README)
    continuous_integration = set(re.findall(r"\$\(readme_commands? ([\w-]+)", (ROOT / ".ci" / "run").read_text()))
    # test_isolated_distribution.py, test_isolated_memory.py, test_growth.py
    by_tests = {"table-commands", "memory-command", "growth-command"}
    assert sorted(blocks) == sorted(continuous_integration | by_tests)


def test_every_command_between_the_lines_is_run_somewhere():
    """And a new one is to be added here, with where that is."""
    prose = re.sub(r"```.*?```", "", README, flags=re.S)
    elsewhere = {
        'pip install "fastbp[cli,plot]"': "test_isolated_distribution.py",
        'pip install "fastbp[dask]"': "test_isolated_distribution.py",
        'pip install "fastbp[onnx]"': "test_isolated_distribution.py",
        'pip install "fastbp[plot]"': "test_isolated_distribution.py",
        "pytest -m isolated": ".ci/run",
        "bash .ci/run": ".ci/run",
        "python -m fastbp": ".ci/run, by the main command",
        "python -m fastbp warmup": "test_isolated_cache.py",
        "python -m fastbp info": "test_isolated_distribution.py",
    }
    assert set(re.findall(r"`((?:pip|pytest|bash|python3?) [^`]*)`", prose)) == set(elsewhere)


def test_the_newest_change_is_this_version():
    versions = re.findall(r"^### (\d+[.]\d+[.]\d+)", README.split("\n## Changes\n")[1], re.M)
    assert versions[0] == fastbp.__version__
    assert versions == sorted(versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True)


def test_links_lead_somewhere():
    titles = re.findall(r"^#+ (.*)", README, re.M)
    headings = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)]*)\)", README)
    assert [link for link in links if link.startswith("#") and link[1:] not in headings] == []
    files = [link for link in links if not link.startswith(("#", "http"))]
    assert [file for file in files if not (ROOT / file).exists()] == []


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
