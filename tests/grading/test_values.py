"""Plain values: they come back equal and of exact types; nothing else crosses."""

from __future__ import annotations

import json
import math
import pickle
import struct

import numpy as np
import pytest

from course_lib.grading.worker import values
from course_lib.grading.worker.values import NotPlain, dumps, loads

PLAIN = [
    None,
    True,
    0,
    -(2**53),
    10**300,
    1.5,
    -0.0,
    1e-308,
    "",
    "迁移 \x00 \U0001f600",
    [],
    (),
    {},
    [1, [2.0, (None, "x")]],
    {"a": {1: (2,)}},
    3 + 4j,
    complex(math.inf, -1),
]


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()
        assert a.shape == b.shape
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    else:
        assert a == b


@pytest.mark.parametrize("value", PLAIN, ids=lambda v: repr(v)[:20])
def test_plain_values_come_back_as_they_were(value):
    same(loads(dumps(value)), value)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, -0.0])
def test_numbers_that_json_cannot_write(number):
    back = loads(dumps([number]))[0]
    assert struct.pack("<d", back) == struct.pack("<d", number)


@pytest.mark.parametrize("dtype", sorted(values.DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_arrays_keep_dtype_shape_and_bits(dtype, shape):
    array = np.random.default_rng(0).integers(0, 2, size=shape).astype(dtype)
    same(loads(dumps({"x": [array]}))["x"][0], np.asarray(array))


def test_arrays_in_other_orders_are_written_in_c_order_and_little_endian():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    back = loads(dumps(array))
    assert back.dtype.str == "<i4"
    assert (back == array).all()
    assert back.flags.owndata or back.base is not None
    back[0, 0] = 9  # what comes back can be written to


def test_scalars_and_tensors_of_libraries_become_plain():
    torch = pytest.importorskip("torch")
    assert type(loads(dumps(np.float32(1.5)))) is float
    assert type(loads(dumps(np.int64(3)))) is int
    assert type(loads(dumps(np.bool_(True)))) is bool
    same(loads(dumps(torch.ones(2, 3, requires_grad=True))), np.ones((2, 3), dtype=np.float32))


def test_subclasses_lose_what_they_added():
    class Liar(np.ndarray):
        def __eq__(self, other):
            return True

    class Text(str):
        __slots__ = ()

    class Whole(int):
        pass

    back = loads(dumps([np.zeros(2).view(Liar), Text("a"), Whole(3)]))
    assert [type(one) for one in back] == [np.ndarray, str, int]


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        b"bytes",
        object(),
        lambda: 1,
        np.array([object()]),
        np.array(["text"]),
        {("a",): 1},
        {True: 1},
        {1.5: 1},
        np.zeros((1,) * 9),
        (x for x in "ab"),
        range(3),
        np.array(["2026"], dtype="M8[Y]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_else_crosses(value):
    with pytest.raises(NotPlain, match=r"plain|dimensions"):
        dumps(value)


def test_depth_and_size_are_capped():
    deep = []
    for _ in range(values.MAX_DEPTH + 2):
        deep = [deep]
    with pytest.raises(NotPlain, match="nested"):
        dumps(deep)
    with pytest.raises(NotPlain, match="bytes"):
        dumps(np.zeros(values.MAX_BYTES, dtype=np.int8))
    cycle = []
    cycle.append(cycle)
    with pytest.raises(NotPlain, match="nested"):
        dumps(cycle)


def frame(tree, body=b""):
    header = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return struct.pack("<I", len(header)) + header + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff\xff\xff\xff{}",
        frame(b"NaN"),
        frame(b"{"),
        frame(b"[" * 100_000),
        frame({"f": "1e5"}),
        frame({"f": "nan", "x": 1}),
        frame({"i": "9" * 5000}),
        frame({"i": 3}),
        frame({"i": "__import__('os')"}),
        frame({"t": 3}),
        frame({"t": {"t": []}}),
        frame({"d": [["a", 1], ["a", 2]]}),
        frame({"d": [[None, 1]]}),
        frame({"d": [["a"]]}),
        frame({"a": ["|O", [1]]}, b"\0" * 8),
        frame({"a": ["<f8", [2]]}, b"\0" * 8),
        frame({"a": ["<f8", [-1]]}),
        frame({"a": ["<f8", [True]]}, b"\0" * 8),
        frame({"a": ["<f8", [2**40, 2**40]]}),
        frame({"a": ["<f8", [1]], "b": 1}, b"\0" * 8),
        frame({"a": ["<f8"]}),
        frame({"c": [1]}),
        frame({"c": ["a", 1]}),
        frame({"x": 1}),
        frame({}),
        frame(1, b"left over"),
        pickle.dumps({"a": 1}),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_dumps_would_not_write_is_refused(data):
    with pytest.raises(NotPlain):
        loads(data)


def test_random_bytes_never_do_anything_but_be_refused():
    rng = np.random.default_rng(0)
    good = dumps({"x": [np.arange(6.0), (1, "a", None)], "y": 2.5})
    for _ in range(3000):
        data = bytearray(good)
        for place in rng.integers(0, len(data), size=rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        try:
            loads(bytes(data))
        except NotPlain:
            continue
