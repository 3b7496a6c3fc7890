"""The scripts benchmarks/accuracy.py and benchmarks/ablation.py, with small tables and one or two splits."""

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


def test_the_ablation_shows_differences_to_the_recipe_and_goes_on_where_it_ended(tmp_path):
    options = "--tables", "iris", "--seeds", "0", "1", "--json", str(tmp_path / "results.jsonl")
    variants = "no dropout", "4 networks"
    printed_by("ablation-command", "benchmarks/ablation.py", *options, "--variants", variants[0])
    printed = printed_by("ablation-command", "benchmarks/ablation.py", *options, "--variants", *variants)
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [variant for _, _, variant, _, _ in results] == ["recipe", "no dropout"] * 2 + ["4 networks"] * 2
    errors = {(seed, variant): error for _, seed, variant, error, _ in results}
    difference = 500 * sum(errors[seed, "4 networks"] - errors[seed, "recipe"] for seed in (0, 1))
    (row,) = [line for line in printed.splitlines() if line.startswith("| 4 networks |")]
    assert f"| {difference:+.1f} ± " in row
    assert "| recipe | " in printed
