"""`bucle ...`: a module for each group of commands, loaded when it is called (see `commands.py`)."""

from bucle.cli.main import main, root

__all__ = ["main", "root"]
