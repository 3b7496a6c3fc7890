"""python -m fastbp: its options, its exit codes, and the job info."""

import platform
import re
import subprocess
import sys
import sysconfig

import numba
import numpy as np
import pytest

from fastbp import __version__
from fastbp.cli.main import main
from fastbp.kernels.compiling import cache
from fastbp.kernels.compiling.jit import VARIANT
from fastbp.kernels.machine import registers
from fastbp.parallel import team


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--epochs", "0"], "'0' is not a whole number above 0"),
        (["--hidden", "5,x"], "'5,x' is not a list of whole numbers"),
        (["--dtype", "float16"], "float16"),
        (["--seed", "-1"], "--seed"),
        (["--batch-size", "100000"], "100000 is more than the 1437 images"),
        (["nonsense"], "nonsense"),
        (["warmup", "--dtype", "float16"], "float16"),
        (["warmup", "--cpu", "pentium"], "'pentium' (choose from"),
        (["warmup", "--into", "folder"], "--into: needs --cpu"),
    ],
)
def test_a_bad_option_gives_one_clear_line_and_exit_code_2(arguments, what, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    complaints = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(complaints) == 1
    assert what in complaints[0]


def test_warmup_for_a_level_needs_a_process_without_kernels(capsys):
    assert main(["warmup", "--cpu", "x86-64-v3"]) == 2
    assert "--cpu x86-64-v3: this process has imported the kernels" in capsys.readouterr().err


def test_help_and_version(capsys):
    for option, expected in (("--help", "--epochs"), ("--version", __version__)):
        with pytest.raises(SystemExit) as stopped:
            main([option])
        assert stopped.value.code == 0
        assert expected in capsys.readouterr().out


def test_info_prints_versions_cpu_and_threads(capsys):
    assert main(["info"]) == 0
    printed = dict(re.findall(r"^(\S+) {2,}(.+)$", capsys.readouterr().out, re.M))
    assert printed["fastbp"].startswith(f"{__version__}, ")
    for name, version in (("NumPy", np.__version__), ("Numba", numba.__version__)):
        assert printed[name].split(",")[0] == version
    assert printed["vectors"].startswith(f"{registers.VECTOR_BYTES} bytes: {registers.VECTOR_BYTES // 4} float32")
    assert printed["tile"] == f"{registers.ROWS} rows of 3 vectors"
    assert printed["threads"] == f"at most {team.upper_bound(None)}"


@pytest.mark.parametrize(
    ("disabled", "enabled", "says"),
    [(None, True, ""), (0, True, ""), (1, False, ", without the GIL"), (1, True, ", with the GIL")],
)
def test_info_says_whether_a_python_with_free_threads_has_them(capsys, monkeypatch, disabled, enabled, says):
    asked = sysconfig.get_config_var
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: disabled if "GIL" in name else asked(name))
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: enabled, raising=False)
    assert main(["info"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Python"))
    assert line.partition(platform.platform())[2].partition(", because")[0] == says


@pytest.mark.posix
def test_info_shows_what_is_in_each_cache_folder_and_why_one_is_refused(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    folder = next(cache.folders())
    folder.mkdir(parents=True)

    def section():
        assert main(["info"]) == 0
        printed = capsys.readouterr().out
        return printed[printed.index(str(folder)) :].splitlines()[1:]

    assert section()[0] == "    trusted, writable, empty"

    conditions = cache.conditions(VARIANT)
    keys = {
        "a": f"train (array(float32, 1d, C),) {conditions}",
        "b": "of another CPU",
        "d": f"shuffle (array(int64, 1d, C),) {conditions}",
    }
    for name, key in keys.items():
        cache._write(folder / f"{name}.kernel", key, b"machine code")
    (folder / "c.kernel").write_bytes(b"garbage")
    lines = section()
    assert re.fullmatch(r"    trusted, writable, \d+[.]\d MB", lines[0])
    assert lines[1:4] == [
        f"    not usable: {folder}/c.kernel is broken",
        "    for this CPU and these settings: 2 kernels",
        "    for other CPUs or settings: 1 kernels",
    ]

    folder.chmod(0o777)
    assert section()[0] == f"    refused: {folder} may be written by others (drwxrwxrwx)"


def test_help_imports_neither_numba_nor_scikit_learn():
    program = (
        "import sys\n"
        "from fastbp.cli.main import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'numba', 'numpy', 'pandas', 'scipy', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(code or ' '.join(heavy) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--target" in done.stdout
