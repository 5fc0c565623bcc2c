"""A record does what ``dataclass(frozen=True)`` does, method by method."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

import pytest

from runtime.model.record import record


@record
class Record:
    name: str
    size: int = 0
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plain:
    name: str
    size: int = 0
    labels: dict[str, str] = field(default_factory=dict)


@record
class Empty:
    pass


@record
class Longer(Record):
    last: tuple[str, ...] = ()


def test_values_come_by_place_by_name_and_from_defaults() -> None:
    assert (Record("a", 1).name, Record("a", 1).size) == ("a", 1)
    assert Record(size=2, name="a") == Record("a", 2)
    assert Record("a").size == 0
    assert Record("a", 1, {"x": "y"}).labels == {"x": "y"}
    assert Empty() == Empty()
    assert Longer("a", last=("b",)) == Longer("a", 0, {}, ("b",))


def test_a_factory_makes_one_for_each() -> None:
    assert Record("a").labels == {}
    assert Record("a").labels is not Record("a").labels


@pytest.mark.parametrize(
    "call",
    [
        lambda cls: cls(),
        lambda cls: cls(size=1),
        lambda cls: cls("a", nothing=1),
        lambda cls: cls(nothing=1),
        lambda cls: cls("a", name="b"),
        lambda cls: cls("a", 1, {}, "more"),
    ],
)
def test_wrong_arguments_are_refused_as_a_dataclass_refuses_them(call: Callable[[Any], object]) -> None:
    for cls in (Record, Plain):
        with pytest.raises(TypeError):
            call(cls)


def test_a_refusal_names_the_argument() -> None:
    cls: Any = Record
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        cls("a", nothing=1)
    with pytest.raises(TypeError, match="multiple values for argument 'name'"):
        cls("a", name="b")
    with pytest.raises(TypeError, match="missing required arguments: name"):
        cls(size=1)


def test_it_cannot_be_changed() -> None:
    item: Any = Record("a")
    with pytest.raises(FrozenInstanceError):
        item.size = 1
    with pytest.raises(FrozenInstanceError):
        del item.size
    assert item.size == 0


def test_equal_is_the_same_class_with_the_same_values() -> None:
    assert Record("a") == Record("a") != Record("b")
    assert Record("a") != Longer("a")
    plain: object = Plain("a")
    assert Record("a") != plain
    assert Record.__eq__(Record("a"), "a") is NotImplemented


def test_a_hash_follows_the_values() -> None:
    assert hash(Empty()) == hash(Empty())
    assert hash(Longer("a", 0, labels=None, last=("b",))) == hash(Longer("a", 0, None, ("b",)))  # type: ignore[arg-type]  # a dict has no hash
    with pytest.raises(TypeError):
        hash(Record("a"))


def test_dataclasses_functions_know_it() -> None:
    item = Record("a", 1, {"x": "y"})
    assert is_dataclass(item)
    assert [one.name for one in fields(item)] == ["name", "size", "labels"]
    assert replace(item, size=2) == Record("a", 2, {"x": "y"})
    assert asdict(item) == {"name": "a", "size": 1, "labels": {"x": "y"}}


def test_it_is_shown_as_a_dataclass_is() -> None:
    assert repr(Record("a", 1)) == repr(Plain("a", 1)).replace("Plain", "Record")


def test_it_is_copied_and_pickled_whole() -> None:
    item = Longer("a", 1, {"x": "y"}, ("z",))
    assert copy.deepcopy(item) == item
    assert pickle.loads(pickle.dumps(item)) == item


def test_fields_are_matched_by_place() -> None:
    match Record("a", 1):
        case Record(name, size):
            assert (name, size) == ("a", 1)
        case _:
            pytest.fail("not matched")


def test_its_fields_are_a_dataclass_s() -> None:
    for ours, theirs in zip(fields(Record), fields(Plain), strict=True):
        assert (ours.name, ours.type, ours.default, ours.default_factory) == (
            theirs.name, theirs.type, theirs.default, theirs.default_factory
        )  # fmt: skip
    assert [one.name for one in fields(Longer)] == ["name", "size", "labels", "last"]
    assert fields(Empty) == ()
