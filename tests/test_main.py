"""python -m fastbp, as a user meets it."""

import re

import pytest

from fastbp import __version__
from fastbp.__main__ import main


def test_the_main_job_prints_both_libraries_side_by_side(capsys):
    assert main(["--epochs", "5"]) == 0
    printed = capsys.readouterr().out
    assert "BackpropClassifier [################] epoch 5/5" in printed
    rows = re.findall(r"^(BackpropClassifier|MLPClassifier) +([01][.]\d+) +(\d+[.]\d+) +(\S+)$", printed, re.M)
    assert [name for name, *_ in rows] == ["BackpropClassifier", "MLPClassifier"]
    (_, accuracy, _, loss), (_, other_accuracy, _, other_loss) = rows
    assert accuracy == other_accuracy
    assert float(loss) == pytest.approx(float(other_loss), rel=1e-3)
    assert re.search(r"trained \d+[.]\d times as fast", printed)
    assert re.search(r"Compiling took \d+[.]\d\d s", printed)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--epochs", "0"], "'0' is not a whole number above 0"),
        (["--hidden", "5,x"], "'5,x' is not a list of whole numbers"),
        (["--dtype", "float16"], "float16"),
        (["--seed", "-1"], "--seed"),
        (["--batch-size", "100000"], "100000 is more than the 1437 images"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_bad_option_gives_one_clear_line_and_exit_code_2(arguments, what, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    complaints = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(complaints) == 1
    assert what in complaints[0]


def test_help_and_version(capsys):
    for option, expected in (("--help", "--epochs"), ("--version", __version__)):
        with pytest.raises(SystemExit) as stopped:
            main([option])
        assert stopped.value.code == 0
        assert expected in capsys.readouterr().out
