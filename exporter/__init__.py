"""A Prometheus exporter for the faxes of Asterisk."""

__version__: str


def __getattr__(name: str) -> str:
    """`__version__`, once somebody asks for it: what finds it takes longer to import than all that
    must be there before a signal is heeded."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("asterisk-fax-exporter")
    except PackageNotFoundError:  # run from a checkout that is not installed
        found = "0+unknown"
    globals()[name] = found
    return found
