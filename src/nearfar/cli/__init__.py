"""The command line. Each command is a file of this package; what they share is in `app`."""

from nearfar.cli.app import main

__all__ = ["main"]
