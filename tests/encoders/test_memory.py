"""Memory of networks: it is given back when nobody holds them, and what is held goes on working."""

from __future__ import annotations

import gc
import weakref

import numpy as np

from course_lib import encoders


def test_a_network_that_nobody_holds_is_gone() -> None:
    encoders.forget_networks()  # another test may hold the one that all share
    encoder = encoders.english_bert()
    first = encoder.encode(["Goodbye!"], cache=False)
    network = weakref.ref(encoder.model)
    encoders.forget_networks()
    assert network() is not None  # the encoder still holds it
    assert np.array_equal(encoder.encode(["Goodbye!"], cache=False), first)
    del encoder
    encoders.forget_networks()
    gc.collect()
    assert network() is None
    again = encoders.english_bert()
    np.testing.assert_array_equal(again.encode(["Goodbye!"], cache=False), first)
