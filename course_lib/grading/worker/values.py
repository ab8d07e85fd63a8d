"""Plain values as bytes: what may cross between a student's process and the grader's.

A value is None, a bool, an int, a float, a complex number, a string, a list, a tuple, a dict or an array of
numbers. It is written as JSON in which every container carries its type, followed by the raw bytes of the
arrays. Nothing that is read can execute code, and what is read back is made of exact built-in types,
whatever the writer's classes said of themselves.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, Final

import numpy as np

MAX_BYTES: Final = 64 << 20
MAX_HEADER: Final = 8 << 20
MAX_DEPTH: Final = 24
MAX_DIMENSIONS: Final = 8
DTYPES: Final = frozenset(
    [
        "|b1",
        "|i1",
        "|u1",
        "<i2",
        "<u2",
        "<i4",
        "<u4",
        "<i8",
        "<u8",
        "<f2",
        "<f4",
        "<f8",
        "<c8",
        "<c16",
    ]  # as numpy.dtype.str says them
)
SAFE_INTEGER: Final = 2**53  # beyond it, JSON readers disagree; larger integers travel as text
LONGEST_INTEGER: Final = 4000  # digits
_LENGTH = struct.Struct("<I")


class NotPlain(ValueError):
    """A value, or bytes, that may not cross; the message says what and why."""


def dumps(value: Any) -> bytes:
    """Return `value` as bytes.

    Parameters
    ----------
    value : object
        A plain value. Scalars of NumPy count as Python's, tensors of PyTorch and TensorFlow as arrays.

    Raises
    ------
    NotPlain
        For any other type, for arrays of objects, and for what is deeper or larger than the caps.

    Examples
    --------
    >>> loads(dumps({"w": np.eye(2), "n": (1, None)}))
    {'w': array([[1., 0.],
           [0., 1.]]), 'n': (1, None)}
    """
    arrays: list[bytes] = []
    header = json.dumps(_written(value, arrays, 0), separators=(",", ":"), allow_nan=False).encode()
    data = b"".join([_LENGTH.pack(len(header)), header, *arrays])
    if len(header) > MAX_HEADER or len(data) > MAX_BYTES:
        raise NotPlain(f"a value of {len(data):,} bytes; at most {MAX_BYTES:,} cross")
    return data


def loads(data: bytes) -> Any:
    """Return the value in `data`, made anew of exact built-in types.

    Raises
    ------
    NotPlain
        For anything that `dumps` would not have written.
    """
    if len(data) < _LENGTH.size or len(data) > MAX_BYTES:
        raise NotPlain(f"a message of {len(data):,} bytes")
    (length,) = _LENGTH.unpack_from(data)
    if length > min(MAX_HEADER, len(data) - _LENGTH.size):
        raise NotPlain("a message cut short")
    body = memoryview(data)[_LENGTH.size + length :]
    try:
        tree = json.loads(data[_LENGTH.size : _LENGTH.size + length], parse_constant=_refused)
        reader = _Reader(body)
        value = reader.value(tree, 0)
    except NotPlain:
        raise
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError, MemoryError) as error:
        raise NotPlain(f"a message that is not in the agreed form ({type(error).__name__})") from None
    if reader.at != len(body):
        raise NotPlain("bytes left over after the value")
    return value


def _refused(constant: str) -> Any:
    raise NotPlain(f"{constant} written as a bare word")


def _written(value: Any, arrays: list[bytes], depth: int) -> Any:
    """Return the JSON form of `value`; append the bytes of its arrays."""
    if depth > MAX_DEPTH:
        raise NotPlain(f"a value nested more than {MAX_DEPTH} deep")
    if value is None or isinstance(value, bool | str):
        return value if value is None else str(value) if isinstance(value, str) else bool(value)
    if isinstance(value, np.generic):
        return _written(value.item(), arrays, depth)
    if isinstance(value, int):
        return int(value) if abs(value) < SAFE_INTEGER else {"i": str(int(value))}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"f": repr(float(value))}
    if isinstance(value, complex):
        return {"c": [_written(part, arrays, depth + 1) for part in (value.real, value.imag)]}
    if isinstance(value, list | tuple):
        inside = [_written(item, arrays, depth + 1) for item in value]
        return inside if isinstance(value, list) else {"t": inside}
    if isinstance(value, dict):
        return {
            "d": [[_key(key), _written(item, arrays, depth + 1)] for key, item in value.items()],
        }
    return _written_array(_as_array(value), arrays)


def _key(key: Any) -> Any:
    if isinstance(key, np.generic):
        key = key.item()
    if type(key) not in (str, int):
        raise NotPlain(f"a dict with a key of type {type(key).__name__}; strings and whole numbers are plain")
    return key


def _as_array(value: Any) -> np.ndarray:
    """Return an array or a tensor as a plain array."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # PyTorch
        return np.asarray(value.detach().cpu().numpy())
    if hasattr(value, "numpy") and hasattr(value, "shape"):  # TensorFlow
        return np.asarray(value.numpy())
    raise NotPlain(
        f"a value of type {type(value).__name__}; numbers, strings, lists, tuples, dicts and arrays are plain"
    )


def _written_array(array: np.ndarray, arrays: list[bytes]) -> Any:
    array = np.asarray(array)
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and np.little_endian is False):
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.dtype.str not in DTYPES:
        raise NotPlain(f"an array of dtype {array.dtype}; arrays of numbers are plain")
    if array.ndim > MAX_DIMENSIONS:
        raise NotPlain(f"an array of {array.ndim} dimensions; at most {MAX_DIMENSIONS}")
    arrays.append(np.ascontiguousarray(array).tobytes())
    return {"a": [array.dtype.str, list(array.shape)]}


class _Reader:
    """Walks the JSON tree, taking each array's bytes as it is met."""

    def __init__(self, body: memoryview) -> None:
        self.body = body
        self.at = 0

    def value(self, tree: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise NotPlain(f"a value nested more than {MAX_DEPTH} deep")
        if tree is None or type(tree) in (bool, int, float, str):
            return tree
        if type(tree) is list:
            return [self.value(item, depth + 1) for item in tree]
        if type(tree) is not dict or len(tree) != 1:
            raise NotPlain("a container without its type")
        ((kind, inside),) = tree.items()
        if kind in "tda" and type(inside) is not list:
            raise NotPlain("a container that is no list")
        if kind == "t":
            return tuple(self.value(item, depth + 1) for item in inside)
        if kind == "d":
            pairs = [(_key(key), self.value(item, depth + 1)) for key, item in inside]
            if len({key for key, _ in pairs}) != len(pairs):
                raise NotPlain("a dict with a key twice")
            return dict(pairs)
        if kind == "a":
            return self.array(*inside)
        return _number(kind, inside)

    def array(self, dtype: Any, shape: Any) -> np.ndarray:
        """Return the next array, after checking that its bytes are there."""
        if dtype not in DTYPES or type(shape) is not list or len(shape) > MAX_DIMENSIONS:
            raise NotPlain(f"an array of dtype {dtype!r}")
        if any(type(length) is not int or length < 0 for length in shape):
            raise NotPlain("an array with a length that is no length")
        count = math.prod(shape)
        size = count * np.dtype(dtype).itemsize
        if size > len(self.body) - self.at:
            raise NotPlain("an array whose bytes are not there")
        array = np.frombuffer(self.body, dtype=dtype, count=count, offset=self.at)
        self.at += size
        return array.reshape(shape).copy()


def _number(kind: Any, inside: Any) -> Any:
    """Return a number that JSON cannot write."""
    if kind == "f" and inside in ("nan", "inf", "-inf"):
        return float(inside)
    if kind == "i" and type(inside) is str and len(inside) <= LONGEST_INTEGER:
        return int(inside)
    if kind == "c" and len(inside) == 2:
        real, imaginary = (_number(*next(iter(p.items()))) if type(p) is dict else p for p in inside)
        return complex(real, imaginary)
    raise NotPlain(f"a value of unknown kind {str(kind)[:20]!r}")
