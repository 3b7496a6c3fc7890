"""How a fitted encoder reads a table, and which values it does not understand."""

import numpy as np
import pandas as pd
import pytest

from fastbp import TableEncoder
from fastbp.encoding.readings import readings

N = 100
DAYS = pd.date_range("2024-01-01", periods=N)


def table(**columns):
    given = {
        "number": np.arange(N) / 8,
        "text": np.arange(N).astype(str),
        "day": DAYS.strftime("%d.%m.%Y"),
        "date": DAYS,
        "city": ["Rome"] * 48 + ["Paris"] * 48 + ["Oslo"] * 4,
        "many": [f"k{i % 60}" for i in range(N)],
    }
    return pd.DataFrame(given | columns)


def unknown(X, fitted=None):
    """{name: rows that are not understood} of the columns that have such rows."""
    encoder = TableEncoder().fit(table() if fitted is None else fitted, np.arange(N) % 2)
    return {each.name: np.flatnonzero(each.unknown).tolist() for each in readings(encoder, X) if each.unknown.any()}


def changed(name, rows, value):
    X = table().astype({name: object})
    X.loc[rows, name] = value
    return X


def test_the_kind_of_each_column_and_the_format_of_dates_are_given():
    encoder = TableEncoder().fit(table(), np.arange(N) % 2)
    found = {each.name: (each.kind, each.date_format) for each in readings(encoder, table())}
    assert found == {
        "number": ("numbers", None),
        "text": ("numbers", None),
        "day": ("dates", "%d.%m.%Y"),
        "date": ("dates", None),
        "city": ("categories", None),
        "many": ("categories", None),
    }


def test_the_table_of_the_fit_is_understood_with_its_rare_categories():
    assert unknown(table()) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "?"),
        ("text", "?"),
        ("text", DAYS[0]),
        ("day", "2024-01-01"),
        ("date", "soon"),
        ("city", "Bern"),
        ("city", 3),
        ("city", None),
        ("many", "k60"),
    ],
)
def test_values_of_another_kind_and_new_categories_are_not_understood(name, value):
    assert unknown(changed(name, [3, 7], value)) == {name: [3, 7]}


@pytest.mark.parametrize(("name", "value"), [("number", None), ("text", ""), ("text", " 1e3 "), ("day", None)])
def test_missing_numbers_and_dates_and_other_spellings_of_numbers_are_understood(name, value):
    assert unknown(changed(name, [3, 7], value)) == ({} if value != "" else {name: [3, 7]})


def test_missing_categories_are_understood_if_the_fit_saw_some():
    assert unknown(changed("city", [5], None), fitted=changed("city", [50], None)) == {}


def test_a_column_of_another_kind_is_not_understood_at_all():
    everything = list(range(N))
    found = unknown(table(number=DAYS, date=np.arange(N), city=np.arange(N)))
    assert found == {"number": everything, "date": everything, "city": everything}
