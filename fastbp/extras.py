"""Optional packages, and what to say where one is missing."""

import importlib.util


class MissingExtra(ImportError):
    """An optional package is not installed."""


def require(*modules: str, extra: str, by: str) -> None:
    """Raise MissingExtra, naming the extra that has them, unless all modules are installed.

    Parameters
    ----------
    modules : str
        Names to import.
    extra : str
        Of pyproject.toml.
    by : str
        Who needs them.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingExtra(
            f'{by} needs {" and ".join(missing)}, which can be installed with: pip install "fastbp[{extra}]"'
        )
