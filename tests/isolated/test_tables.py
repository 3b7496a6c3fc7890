"""Fits on tables in processes made by fork and by joblib."""

from support.programs import run

# TABLE: the beginning of each program. It computes a digest of all predictions of a fit.
TABLE = """
import hashlib, json
from support import programs
from support.tabular import RECIPE, problem, small
from fastbp import TabularClassifier
from fastbp.tabular import recipe

def digest(n_jobs=None):
    vars(recipe).update(RECIPE)
    X, y = problem(TabularClassifier)
    model = small(TabularClassifier, n_networks=3, n_jobs=n_jobs).fit(X, y)
    return hashlib.sha256(model.predict_proba(X).tobytes()).hexdigest()
"""
SAME = TABLE + "print(json.dumps(digest(n_jobs=1)))"
FORK = (
    TABLE
    + """
expected = digest()
child = programs.in_child(lambda: digest() == expected)
grandchild = programs.in_child(lambda: programs.status(programs.in_child(lambda: digest() == expected)) == 0)
print(json.dumps([programs.status(child), programs.status(grandchild), digest() == expected]))
"""
)
WORKERS = (
    TABLE
    + """
import joblib
expected = digest()
found = [
    joblib.Parallel(2, backend=backend)(joblib.delayed(digest)() for _ in range(3)) for backend in ("loky", "threading")
]
print(json.dumps(all(each == expected for digests in found for each in digests)))
"""
)


def test_any_number_of_threads_gives_the_same_bits(warm_cache):
    assert run(SAME.replace("n_jobs=1", ""), warm_cache) == run(SAME, warm_cache)


def test_children_of_a_fork_can_fit(warm_cache):
    assert run(FORK, warm_cache) == [0, 0, True]


def test_workers_of_joblib_give_the_same_bits(warm_cache):
    assert run(WORKERS, warm_cache)
