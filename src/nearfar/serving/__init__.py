"""Models for servers and other runtimes, on the Hub, and checked again: `nearfar export`, `push`, `verify`."""

from nearfar.serving.exporting import export
from nearfar.serving.pushing import push
from nearfar.serving.result import Exported, Pushed, TooDifferent, Verified
from nearfar.serving.verifying import verify

__all__ = ["Exported", "Pushed", "TooDifferent", "Verified", "export", "push", "verify"]
