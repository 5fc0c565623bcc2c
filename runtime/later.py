"""Modules that others import at their top and a command hardly ever uses: loaded when first used.

``dataclasses`` and click import ``inspect`` (with ``ast``, ``dis`` and ``tokenize``), click imports ``uuid``,
which asks ``platform`` what the system is, and ``urllib.parse`` imports ``ipaddress``: together a sixth of
what a command costs.
"""

from __future__ import annotations

import _thread
import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["postpone", "postpone_usual"]

_LOCK = _thread.allocate_lock()


class _Later(ModuleType):
    """Stands for a module in whatever imports it, and forwards every question that it cannot answer."""

    def __getattr__(self, name: str) -> Any:
        """From the module itself, which takes its own place. The import system's locks make threads wait."""
        if name.startswith("__"):  # what the import system asks of any module
            raise AttributeError(name)
        return getattr(_load(self), name)


def _load(stand_in: _Later) -> ModuleType:
    name = stand_in.__name__
    with _LOCK:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
    return importlib.import_module(name)


def _load_named(name: str) -> ModuleType:
    found = importlib.import_module(name)
    return _load(found) if isinstance(found, _Later) else found


def postpone(name: str, **known: object) -> None:
    """Let ``import name`` cost nothing from here on, unless it is loaded. ``known`` are attributes that are
    asked for without a need for the module."""
    if name in sys.modules:
        return
    stand_in = _Later(name)
    vars(stand_in).update(known)
    sys.modules[name] = stand_in


def postpone_usual() -> None:
    """For a program that begins: what its libraries load and it will most likely not use."""
    postpone("inspect", cleandoc=_cleandoc)  # click calls it for the help of every option
    postpone("platform", system=_system)  # uuid calls it when it is loaded
    postpone("gettext", gettext=_forward("gettext", "gettext"), ngettext=_forward("gettext", "ngettext"))
    postpone("ipaddress")


def _cleandoc(text: str) -> str:
    """inspect.cleandoc, which has work to do only on several lines."""
    if "\n" not in text:
        return text.expandtabs().lstrip()
    cleaned: str = _load_named("inspect").cleandoc(text)
    return cleaned


def _forward(module: str, name: str) -> Callable[..., Any]:
    """For who imports the function and not the module."""

    def call(*args: Any) -> Any:
        return getattr(_load_named(module), name)(*args)

    return call


def _system() -> str:
    """platform.system: what uname(2) says."""
    return os.uname().sysname
