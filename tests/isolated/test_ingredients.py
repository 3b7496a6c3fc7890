"""The script benchmarks/ingredients.py, on two small tables and two splits."""

import re

import pytest

from support.documents import printed_by

pytest.importorskip("pandas")


def rows(table):
    """The cells of each row of a table in Markdown, by the first cell; the first row is the header."""
    lines = [re.split(r" ?\| ?", line)[1:-1] for line in table.splitlines() if line.startswith("|")]
    return {name: cells for name, *cells in lines}


def test_the_script_compares_every_recipe_with_base_on_every_table_that_it_fits():
    printed = printed_by(
        "ingredients-command", "benchmarks/ingredients.py", "--seeds", "2", "--tables", "wine,diabetes"
    )
    values, accuracies = map(rows, printed.strip().split("\n\n"))
    assert values["recipe"] == ["wine, log loss", "diabetes, R2", "better", "worse", "time"]
    assert accuracies["recipe"] == ["wine, accuracy", "better", "worse", "time"]
    assert set(values) - set(accuracies) == {"huber"}
    assert len(values) > 20
    for name, (wine, diabetes, *_, time) in list(values.items())[2:]:
        if name == "base":
            assert 0 < float(wine) < 0.5
            assert 0 < float(diabetes) < 1
            continue
        assert bool(wine) == (name != "huber")
        assert bool(diabetes) == (name != "label_smoothing 0.1")
        assert all(re.fullmatch(r"((\*\*)?[+-]\d+\.\d ± \d+\.\d(\*\*)?)?", cell) for cell in (wine, diabetes))
        assert float(time) > 0
