"""Columns of dates and times, and text that holds them."""

import datetime
import re
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastbp import TableEncoder
from fastbp.encoding import columns, dates

HOURS = pd.Series(pd.date_range("2023-03-01 00:30", periods=500, freq="17h37min"))
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "+05:30", "-03:00"]


def frame(when):
    return pd.DataFrame({"when": when})


def encoder(**parameters):
    return TableEncoder(**{"dtype": "float64", "numbers": "robust", **parameters})


def outputs(fitted, X):
    return pd.DataFrame(fitted.transform(X), columns=fitted.get_feature_names_out())


def test_the_parts_are_those_of_the_calendar():
    fitted = encoder().fit(frame(HOURS))
    found = outputs(fitted, frame(HOURS))
    assert fitted.column_kinds_ == {"when": "dates"}
    for part, values in (
        ("month", HOURS.dt.month),
        ("weekday", HOURS.dt.day_name().str[:3]),
        ("hour", HOURS.dt.hour),
    ):
        prefix = f"when_{part}_"
        onehot = found[[name for name in found if name.startswith(prefix)]]
        assert_array_equal(onehot.idxmax(axis=1).str.removeprefix(prefix), values.astype(str))
        assert_array_equal(onehot.sum(axis=1), 1)
    assert (np.diff(found["when_days_scaled"]) > 0).all()
    order = np.argsort(HOURS.dt.day, kind="stable")
    assert (np.diff(found["when_day_scaled"].to_numpy()[order]) >= 0).all()


def test_parts_that_do_not_vary_are_left_out():
    fitted = encoder().fit(frame(pd.date_range("2024-01-01", periods=5, freq="D")))
    parts = {name.split("_")[1] for name in fitted.get_feature_names_out()}
    assert parts == {"days", "day", "weekday"}


def test_the_same_date_throughout_is_left_out():
    fitted = encoder().fit(pd.DataFrame({"when": 3 * [pd.Timestamp("2024-01-01")], "x": [1, 2, 3]}))
    assert fitted.dropped_columns_ == {"when": "one value throughout"}


def test_missing_dates_are_the_median_day_and_indicated():
    when = pd.Series([pd.NaT, *pd.date_range("2024-01-01", periods=5, freq="40D")])
    fitted = encoder().fit(frame(when))
    found = outputs(fitted, frame(when))
    assert_array_equal(found["when_missing"], [1, 0, 0, 0, 0, 0])
    assert found["when_days_scaled"][0] == found["when_days_scaled"][3]
    assert found.filter(like="month").iloc[0].sum() == 0
    nothing = fitted.transform(frame([None]))
    assert_array_equal(nothing, found.iloc[[0]])


@pytest.mark.parametrize("zone", ZONES)
def test_parts_are_of_the_clock_of_the_time_zone(zone):
    local = HOURS.dt.tz_localize("UTC").dt.tz_convert(zone)
    aware, naive = encoder().fit(frame(local)), encoder().fit(frame(local.dt.tz_localize(None)))
    assert_array_equal(aware.transform(frame(local)), naive.transform(frame(local.dt.tz_localize(None))))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", ["pandas", "objects", "text", "polars"])
def test_the_same_moment_in_another_zone_is_encoded_alike(zone, form):
    if form == "polars" and zone[0] in "+-":
        pytest.skip("polars has no zones without a name")
    berlin = HOURS.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    fitted = encoder().fit(frame(berlin))
    other = berlin.dt.tz_convert(zone)
    X = {
        "pandas": lambda: frame(other),
        "objects": lambda: frame(pd.Series([each.to_pydatetime() for each in other], dtype=object)),
        "text": lambda: frame(other.map(pd.Timestamp.isoformat)),
        "polars": lambda: pl.DataFrame({"when": pl.from_pandas(other)}),
    }[form]()
    assert_array_equal(fitted.transform(X), fitted.transform(frame(berlin)))


def test_offsets_change_with_summer_time_and_history():
    moments = np.array(["1890-01-01", "1945-06-01", "2024-03-31T00:59:59", "2024-03-31T01:00"], "M8[us]")
    column = columns.of_dates("when", moments, "UTC")
    clock = dates.on_the_clock(column, "Europe/Berlin").values
    zone = ZoneInfo("Europe/Berlin")
    for moment, local in zip(moments.tolist(), clock.tolist(), strict=True):
        assert moment.replace(tzinfo=datetime.UTC).astimezone(zone).replace(tzinfo=None) == local


@pytest.mark.parametrize("aware_first", [True, False])
def test_dates_with_a_zone_are_not_compared_with_dates_without(aware_first):
    pair = [frame(HOURS.dt.tz_localize("Asia/Tokyo")), frame(HOURS)]
    fit, other = pair if aware_first else pair[::-1]
    said = ["without a time zone", r"with a time zone (Asia/Tokyo)"]
    wanted, got = said[::-1] if aware_first else said
    message = f"column 'when' must hold dates {wanted}, as in the fit, got dates {got}"
    with pytest.raises(ValueError, match=re.escape(message)):
        encoder().fit(fit).transform(other)


def test_objects_of_several_zones_are_moments():
    moment = datetime.datetime(2024, 5, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))
    values = [moment + datetime.timedelta(hours=i) for i in range(20)]
    mixed = [value.astimezone(ZoneInfo(("UTC", "America/New_York")[i % 2])) for i, value in enumerate(values)]
    in_utc = [value.astimezone(datetime.UTC) for value in values]
    assert_array_equal(
        encoder().fit_transform(frame(pd.Series(mixed, dtype=object))),
        encoder().fit_transform(frame(pd.Series(in_utc, dtype=object))),
    )


def test_objects_with_and_without_a_zone_are_refused():
    pair = [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)]
    said = "column 'when' must hold dates with a time zone or dates without, got both"
    for when in (pd.Series(pair, dtype=object), ["2024-01-01", "2024-01-02T10:00:00+00:00"]):
        with pytest.raises(ValueError, match=said):
            encoder().fit(frame(when))


def test_dates_that_are_declared_as_categories_are_compared_as_such():
    days = pd.to_datetime(["2024-01-01", "2024-02-01"] * 5)
    fitted = encoder(categorical_features=["when"]).fit(frame(days))
    assert fitted.get_feature_names_out().tolist() == ["when_2024-01-01", "when_2024-02-01"]
    for same in (days.date, days.strftime("%Y-%m-%d"), days.to_numpy()):
        assert_array_equal(fitted.transform(frame(same)), fitted.transform(frame(days)))
    aware = days.tz_localize("Asia/Tokyo")
    fitted = encoder(categorical_features=["when"]).fit(frame(aware))
    assert fitted.get_feature_names_out()[0] == "when_2023-12-31 15:00:00+00:00"
    assert_array_equal(fitted.transform(frame(pd.Series(list(aware), dtype=object))), fitted.transform(frame(aware)))


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d",
        "%m/%d/%Y",
        "%d/%m/%Y %H:%M",
        "%d.%m.%Y",
        "%d.%m.%Y %H:%M:%S",
        "%d-%b-%Y",
        "%d %B %Y",
        "%b %d, %Y",
        "%m/%d/%y",
        "%m/%d/%Y %I:%M %p",
        "%d.%m.%y",
    ],
)
def test_text_is_read_as_dates_of_many_formats(form):
    text = HOURS.dt.strftime(form)
    expected = encoder().fit(frame(pd.to_datetime(text, format=form)))
    fitted = encoder().fit(frame(text))
    assert fitted.column_kinds_ == {"when": "dates"}
    assert_array_equal(fitted.transform(frame(text)), expected.transform(frame(pd.to_datetime(text, format=form))))


def test_text_that_fits_two_formats_is_read_month_first():
    text = ["03/04/2024", "05/06/2024", "05/07/2024"] * 5
    names = encoder().fit(frame(text)).get_feature_names_out().tolist()
    assert {"when_month_3", "when_month_5"} <= set(names)
    names = encoder().fit(frame([*text, "31/12/2024"])).get_feature_names_out().tolist()
    assert {"when_month_4", "when_month_6", "when_month_7", "when_month_12"} <= set(names)


def test_junk_among_dates_is_missing_if_the_fit_had_some_and_an_error_otherwise():
    text = HOURS.dt.strftime("%Y-%m-%d").tolist()
    lenient, strict = encoder().fit(frame([*text, "unknown"])), encoder().fit(frame([*text, None]))
    assert_array_equal(lenient.transform(frame(["soon"])), lenient.transform(frame([None])))
    with pytest.raises(
        ValueError, match="column 'when' must hold dates as ISO 8601, as in the fit, got 'soon' in row 1"
    ):
        strict.transform(frame(["2024-01-01", "soon"]))


def test_a_column_of_dates_is_not_one_of_numbers():
    with pytest.raises(ValueError, match="column 'when' must hold dates, as in the fit, got numbers"):
        encoder().fit(frame(HOURS)).transform(frame([1.0, 2.0]))
    with pytest.raises(ValueError, match="column 'when' must hold numbers, as in the fit, got dates"):
        encoder().fit(frame([1.0, 2.0, 3.0])).transform(frame(HOURS))


def test_dates_beyond_the_years_of_python_are_encoded():
    moments = np.array(["-5000-01-01", "0001-01-01", "2024-02-29", "9999-12-31", "20000-07-01"], "M8[s]")
    found = encoder(numbers="scores").fit_transform(moments[:, np.newaxis])
    assert (np.diff(found[:, 0]) > 0).all()
    column = columns.of_dates("when", moments, "UTC")
    assert_array_equal(dates.on_the_clock(column, "Asia/Tokyo").values[[0, -1]], moments[[0, -1]])


def test_a_part_of_the_year_2000_is_right_for_every_day():
    days = np.arange("2000-01-01", "2001-01-01", dtype="M8[D]")
    column = columns.of_dates("when", days)
    assert_array_equal(dates.part_of(column, "day").values, [day.day for day in days.tolist()])
    assert_array_equal(dates.part_of(column, "month").values, [day.month - 1 for day in days.tolist()])
    assert_array_equal(dates.part_of(column, "weekday").values, [day.weekday() for day in days.tolist()])
    assert_allclose(dates.part_of(column, "days").values, 10957 + np.arange(366))
