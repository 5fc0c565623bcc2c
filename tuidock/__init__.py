"""The terminal interface and the docker-compatible command line over :mod:`runtime`."""

__version__ = "0.1.0"
