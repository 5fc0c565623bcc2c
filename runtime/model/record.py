"""Frozen dataclasses that cost a command little to define.

``dataclass(frozen=True)`` writes and compiles six methods a class, 0.2 ms or more: for the model's classes
that was a quarter of all that ``exec`` costs. A record is a dataclass for ``fields``, ``replace``, ``asdict``
and the type checker, and shares its methods, written once, with all others. Making one takes longer, so what
exists by the ten thousand stays a plain dataclass.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field
from typing import Any, NoReturn, TypeVar, dataclass_transform

__all__ = ["record"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def record(cls: type[T]) -> type[T]:
    """As ``dataclass(frozen=True)``: equal when class and fields are, hashable when the fields are."""
    made: Any = cls
    names = dict.fromkeys(getattr(cls, "__match_args__", ()))  # those of the class that it extends first
    defaults = dict(getattr(cls, "_record_defaults", {}))
    factories = dict(getattr(cls, "_record_factories", {}))
    for name in vars(cls).get("__annotations__", {}):
        names[name] = None
        value = cls.__dict__.get(name, MISSING)
        if isinstance(value, Field):
            factories[name] = value.default_factory
        elif value is not MISSING:
            defaults[name] = value
    made.__dataclass_fields__ = _Fields(cls)
    made._record_defaults, made._record_factories = defaults, factories
    for name, value in {"__match_args__": tuple(names), **_METHODS}.items():
        if name not in cls.__dict__:
            setattr(cls, name, value)
    return cls


class _Fields:
    """What ``dataclasses`` knows a class's fields by, made when it is first asked: reading never does."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def __get__(self, item: object, owner: type) -> dict[str, Field[Any]]:
        cls = self._cls
        annotations: dict[str, Any] = {}
        for base in reversed(cls.__mro__[:-1]):
            annotations.update(vars(base).get("__annotations__", {}))
        shape: Any = type(
            cls.__name__,
            (),
            {
                "__doc__": cls.__doc__ or cls.__name__,  # without one, dataclass would look for a signature
                "__module__": cls.__module__,
                "__annotations__": {name: annotations[name] for name in cls.__match_args__},
                **cls._record_defaults,
                **{name: field(default_factory=made) for name, made in cls._record_factories.items()},
            },
        )
        found: dict[str, Field[Any]] = dataclass(init=False, repr=False, eq=False)(shape).__dataclass_fields__
        cls.__dataclass_fields__ = found
        return found


def _init(self: Any, /, *values: object, **named: object) -> None:
    names = self.__match_args__
    given = {**dict(zip(names, values)), **named}
    state = {**self._record_defaults, **given}
    for name, factory in self._record_factories.items():
        if name not in given:
            state[name] = factory()
    if len(given) != len(values) + len(named) or len(state) != len(names) or not given.keys() <= set(names):
        _refuse(self, values, named)
    self.__dict__.update(state)


def _refuse(self: Any, values: tuple[object, ...], named: dict[str, object]) -> NoReturn:
    """TypeError, in the words of a function's call."""
    cls, names = type(self).__name__, self.__match_args__
    if len(values) > len(names):
        raise TypeError(f"{cls}() takes {len(names)} positional arguments but {len(values)} were given")
    for name in named:
        if name not in names:
            raise TypeError(f"{cls}() got an unexpected keyword argument {name!r}")
        if name in names[: len(values)]:
            raise TypeError(f"{cls}() got multiple values for argument {name!r}")
    optional = self._record_defaults.keys() | self._record_factories.keys()
    missing = [name for name in names[len(values) :] if name not in named and name not in optional]
    raise TypeError(f"{cls}() missing required arguments: {', '.join(missing)}")


def _values(self: Any) -> tuple[object, ...]:
    state = self.__dict__
    return tuple([state[name] for name in self.__match_args__])


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in zip(self.__match_args__, _values(self)))
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _setattr(self: Any, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS: dict[str, Any] = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
}
