"""A Prometheus exporter for the faxes of Asterisk."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("asterisk-fax-exporter")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"
