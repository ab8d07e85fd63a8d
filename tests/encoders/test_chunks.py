"""Encoding piece by piece: the same bytes whoever computes them, whoever is lost, however many there are."""

from __future__ import annotations

import os
import signal
import tracemalloc

import numpy as np
import pytest

from course_lib import encoders
from course_lib.encoders.chunks import sent
from course_lib.errors import BadInput

RNG = np.random.default_rng(0)
WORDS = np.array(
    ["the", "a", "cat", "dog", "red", "small", "house", "sun", "under", "over", "runs", "sleeps", "in", "of"],
    object,
)
TEXTS = np.array([" ".join([*RNG.choice(WORDS, RNG.integers(3, 12)), str(k)]) for k in range(240)], object)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


class Toy:
    """An encoder that costs nothing, with the real one's cache."""

    name, key, dim = "toy", "toy-1", 4

    def __init__(self, recipe=None):
        from course_lib.encoders.cache import FeatureCache

        self.recipe, self.computed = recipe, []
        self._cache = FeatureCache(self.key, self.dim)

    def piece(self, x, lock, **options):
        self.computed.append(len(x))
        return x[:, 0, :4, 0].astype(np.float32) + x[:, 1, :4, 1]

    def checked(self, data):
        from course_lib.encoders.images import checked_pictures, fingerprints

        return checked_pictures(data), fingerprints

    def rows_of_a_piece(self, x, **options):
        return 8

    def encode(self, x, cache=True, progress=True):
        return self.piece(np.asarray(x), None)


def pictures(n, side=6):
    return RNG.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("cache", [True, False])
def test_chunks_of_all_sizes_come_back_in_order(cache):
    chunks = [pictures(n) for n in (3, 8, 1, 20, 16, 0, 9)]
    expected = [Toy().piece(chunk, None) for chunk in chunks]
    toy = Toy()
    found = list(encoders.encode_chunks(toy, iter(chunks), scheduler="threads", cache=cache))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert max(toy.computed) <= 8
    whole = encoders.encode(Toy(), iter(chunks), scheduler="threads", cache=cache)
    np.testing.assert_array_equal(whole, np.concatenate(expected))
    assert encoders.encode(Toy(), iter([]), scheduler="threads").shape == (0, 4)


def test_what_is_in_the_cache_is_not_sent():
    chunks, toy = [pictures(10), pictures(10)], Toy()
    first = list(encoders.encode_chunks(toy, chunks, scheduler="threads"))
    mixed = [np.concatenate([pictures(2), chunks[1][3:7], pictures(1)]), chunks[0]]
    toy.computed.clear()
    second = list(encoders.encode_chunks(toy, mixed, scheduler="threads"))
    assert sum(toy.computed) == 3
    np.testing.assert_array_equal(second[0][2:6], first[1][3:7])
    np.testing.assert_array_equal(second[1], first[0])


def test_memory_does_not_grow_with_what_is_encoded():
    def peak(count):
        drawn = (np.full((16, 64, 64, 3), k % 256, np.uint8) for k in range(count))
        tracemalloc.start()
        rows = sum(len(z) for z in encoders.encode_chunks(Toy(), drawn, scheduler="threads", cache=False))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == 16 * count
        return most

    few, many = peak(40), peak(240)
    piece = 8 * 64 * 64 * 3
    assert many < few + 80 * piece  # 400 pieces more were encoded


def test_a_memmap_larger_than_what_is_read_at_once(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (100, 6, 6, 3))
    x[:] = pictures(100)
    chunks = (x[k : k + 30] for k in range(0, 100, 30))
    np.testing.assert_array_equal(encoders.encode(Toy(), chunks, scheduler="threads"), Toy().piece(x, None))


@pytest.mark.parametrize("chunk", [np.zeros((2, 3, 3, 3)), np.zeros((2, 3), np.uint8)])
def test_chunks_that_are_no_pictures(chunk):
    with pytest.raises(BadInput, match="expected"):
        list(encoders.encode_chunks(Toy(), [pictures(2), chunk], scheduler="threads"))


def test_texts_and_pictures_by_threads_are_those_of_the_plain_loop():
    text = encoders.english_bert(layer=1)
    plain = text.encode(TEXTS, cache=False)
    np.testing.assert_allclose(text.encode(TEXTS, scheduler="threads"), plain, atol=2e-6)
    assert text.last.computed == len(TEXTS)
    text.encode(TEXTS, scheduler="tcp://127.0.0.1:9")  # all is known: nobody is asked
    assert text.last.computed == 0
    image, x = encoders.imagenet(64), pictures(150, side=32)
    found = image.encode(x, scheduler="threads", batch_size=16, cache=False)
    np.testing.assert_array_equal(found, image.encode(x, batch_size=16, cache=False))


def test_a_worker_killed_in_the_middle_changes_nothing():
    import torch
    from distributed import LocalCluster

    before, encoder = dict(os.environ), encoders.english_bert(layer=1)
    chunks = [TEXTS[k : k + 10] for k in range(0, len(TEXTS), 10)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers: on some processors the last digits follow the number
    try:
        quiet = list(encoders.encode_chunks(encoder, chunks, cache=False))
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as made:
            killed = []

            def killing():
                for k, chunk in enumerate(chunks):
                    if k == len(chunks) // 2:  # those before are under way or done
                        killed.append(next(iter(made.workers.values())).pid)
                        os.kill(killed[0], signal.SIGKILL)
                    yield chunk

            found = list(encoders.encode_chunks(encoder, killing(), scheduler=made))
            assert killed
            assert killed[0] not in [worker.pid for worker in made.workers.values()]
    finally:
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(before)
    for a, b in zip(found, quiet, strict=True):
        assert a.tobytes() == b.tobytes()
    assert encoder.encode(TEXTS).tobytes() == np.concatenate(quiet).tobytes()  # filed as they came
    assert encoder.last.computed == 0


def test_an_unreachable_scheduler_is_told_before_anything_is_computed(monkeypatch):
    from course_lib import scheduler

    monkeypatch.setattr(scheduler, "PATIENCE", "1s")
    toy = Toy()
    with pytest.raises(BadInput, match="No Dask scheduler answers"):
        encoders.encode(toy, iter([pictures(3)]), scheduler="tcp://127.0.0.1:9")
    assert not toy.computed


def test_elsewhere_an_encoder_is_made_from_its_recipe():
    import pickle

    for encoder in (
        encoders.imagenet(64, flip=True, layers="several"),
        encoders.english_bert(layer=2).with_layer(1),
        encoders.multilingual_bert(weights="random", max_tokens=16),
    ):
        what = pickle.loads(pickle.dumps(sent(encoder)))
        assert what.encoder() is encoder  # in this process
        elsewhere = pickle.loads(pickle.dumps(what.__class__("nobody", what.recipe, what.name, what.key)))
        made = elsewhere.encoder()
        assert made is not encoder
        assert (made.key, made.dim, made.name) == (encoder.key, encoder.dim, encoder.name)


def test_an_encoder_that_cannot_travel_and_one_with_other_weights():
    from functools import partial

    from course_lib.encoders.chunks import Sent
    from course_lib.errors import CourseError

    with pytest.raises(BadInput, match="was put together in another process"):
        Sent("nobody", None, "mine", "key-1").encoder()
    recipe = partial(encoders.english_bert, layer=1)
    with pytest.raises(CourseError, match="other weights"):
        Sent("nobody", recipe, "mine", "key-2").encoder()
