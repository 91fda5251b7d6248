"""The version of this bucle."""

__version__ = "0.1.0"
