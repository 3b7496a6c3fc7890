"""The script benchmarks/accuracy.py, with two methods, two small tables and one split."""

import json

import pytest

from support.documents import printed_by

pytest.importorskip("matplotlib")
pytest.importorskip("pandas")


def accuracy(*options):
    return printed_by("accuracy-command", "benchmarks/accuracy.py", "--seeds", "0", *options)


def test_the_script_measures_what_is_not_stored_yet_and_reports_all(tmp_path):
    methods = "--methods", "fastbp", "HistGradientBoosting"
    stored = "--json", str(tmp_path / "results.jsonl")
    accuracy(*methods, *stored, "--only", "wine")
    picture = tmp_path / "accuracy.png"
    printed = accuracy(*methods, *stored, "--only", "wine", "diabetes", "--picture", str(picture))
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [(result["table"], result["method"]) for result in results] == [
        ("wine", "fastbp"), ("wine", "HistGradientBoosting"), ("diabetes", "fastbp"),
        ("diabetes", "HistGradientBoosting"),
    ]  # fmt: skip
    for result in results:
        assert result["fit_seconds"] > 0
        if result["table"] == "wine":
            assert 0 < result["log_loss"] < result["constant_log_loss"] / 2
            assert 0.9 < result["accuracy"] <= 1
        else:
            assert 0.1 < result["r2"] < 0.7
    for title in ("log loss", "R2", "accuracy", "calibration error", "seconds of fit", "2 tables"):
        assert f"| {title} |" in printed
    assert picture.stat().st_size > 5000
