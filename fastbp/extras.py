"""Optional packages, and the error if one is missing."""

import importlib.util


class MissingExtra(ImportError):
    """An optional package is not installed."""


def require(*modules: str, extra: str, by: str) -> None:
    """Raise MissingExtra, with the name of the extra to install, unless all modules are installed.

    Parameters
    ----------
    modules : str
        Names of modules.
    extra : str
        The extra of pyproject.toml that installs the modules.
    by : str
        The function or option that needs the modules, for the error message.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingExtra(
            f'{by} needs {" and ".join(missing)}, which can be installed with: pip install "fastbp[{extra}]"'
        )
