"""Domain values to plain states and back, field by field."""

import dataclasses
import types
import typing
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from retrieval.domain import State

T = TypeVar("T")


def pack(value: Any) -> State:
    """A frozen dataclass as arrays, strings and facts; a nested field is named `outer.inner`."""
    state = State()
    _pack_into(state, value, "")
    return state


def unpack(kind: type[T], state: State) -> T:
    """The value that `pack` took apart."""
    built = _unpack_from(kind, state, "")
    assert isinstance(built, kind)
    return built


def _pack_into(state: State, value: Any, prefix: str) -> None:
    for field in dataclasses.fields(value):
        name, content = prefix + field.name, getattr(value, field.name)
        if isinstance(content, np.ndarray):
            state.arrays[name] = content
        elif isinstance(content, pa.StringArray):
            state.strings[name] = content
        elif dataclasses.is_dataclass(content):
            _pack_into(state, content, f"{name}.")
        elif content is not None:
            state.facts[name] = content


def _unpack_from(kind: Any, state: State, prefix: str) -> Any:
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        name, hint = prefix + field.name, _without_none(hints[field.name])
        if dataclasses.is_dataclass(hint):
            values[field.name] = _unpack_from(hint, state, f"{name}.")
        else:
            holders: tuple[dict[str, Any], ...] = (state.arrays, state.strings, state.facts)
            values[field.name] = next((holder[name] for holder in holders if name in holder), None)
    return kind(**values)


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(option for option in typing.get_args(hint) if option is not type(None))
    return hint
