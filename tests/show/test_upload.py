"""Whatever file a learner chooses becomes an RGB array or a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from course_lib.errors import BadInput
from course_lib.show import upload
from course_lib.show.upload import Upload, as_picture, decode


@pytest.fixture(scope="module")
def half():
    """Left half red, right half blue, wider than high."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:, :20, 0] = pixels[:, 20:, 2] = 250
    return pixels


def file_of(image, form="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def is_half(found):
    left, right = found[:, :10].mean(axis=(0, 1)), found[:, -10:].mean(axis=(0, 1))
    return left[0] > 200 and left[2] < 60 and right[2] > 200 and right[0] < 60


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM"])
def test_formats(half, form):
    found = decode(file_of(Image.fromarray(half), form))
    assert (found.shape, found.dtype) == ((24, 40, 3), np.uint8)
    assert is_half(found)


@pytest.mark.parametrize("mode, form", [("P", "PNG"), ("RGBA", "WEBP"), ("CMYK", "JPEG"), ("CMYK", "TIFF")])
def test_colours(half, mode, form):
    found = decode(file_of(Image.fromarray(half).convert(mode), form))
    assert found.shape == (24, 40, 3)
    assert is_half(found)


def test_grey():
    ramp = np.tile(np.arange(0, 240, 4, np.uint8), (20, 1))
    for image in (Image.fromarray(ramp), Image.fromarray(ramp).convert("LA")):
        found = decode(file_of(image))
        assert np.array_equal(found, np.repeat(ramp[..., None], 3, axis=2))
    found = decode(file_of(Image.fromarray(ramp).convert("1")))
    assert set(np.unique(found)) == {0, 255}


def test_sixteen_bits_become_eight():
    ramp = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (20, 1))
    found = decode(file_of(Image.fromarray(ramp)))
    assert (found[0, 0, 0], found[0, -1, 0]) == (0, 255)
    assert np.abs(found[0, :, 1] - np.linspace(0, 255, 60)).max() <= 1


def test_numbers_with_a_point_are_spread_over_the_greys():
    values = np.tile(np.linspace(-2, 3, 60, dtype=np.float32), (20, 1))
    found = decode(file_of(Image.fromarray(values), "TIFF"))
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    pixels = np.zeros((10, 10, 4), np.uint8)
    pixels[:, 5:, 3] = 255
    image = Image.fromarray(pixels)
    found = decode(file_of(image.convert(mode)))
    assert (found[:, :5] == 255).all()
    assert (found[:, 5:] == 0).all()


def test_half_transparent_is_half_white():
    pixels = np.full((10, 10, 4), (0, 0, 0, 128), np.uint8)
    assert np.abs(as_picture(pixels).astype(int) - 127).max() <= 1


def test_a_camera_held_upright(half):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    found = decode(file_of(Image.fromarray(half), "JPEG", exif=exif, quality=95))
    assert found.shape == (40, 24, 3)
    assert found[:10, :, 0].mean() > 200, "what was left is above"


def test_of_an_animation_the_first_picture(half):
    frames = [Image.fromarray(half), Image.fromarray(255 - half)]
    found = decode(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert is_half(found)


def test_large_pictures_become_small_ones():
    assert decode(file_of(Image.new("RGB", (3000, 1500)))).shape == (512, 1024, 3)
    assert decode(file_of(Image.new("RGB", (3000, 1500)), "JPEG")).shape == (512, 1024, 3)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height):
    """The beginning of a PNG that claims a size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "me is empty"),
        (b"hello", "me is not a picture that can be read.\nWhat to do: Choose a photograph as PNG, JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture"),
        (png_of(20, 20), "not a picture"),
        (png_of(60_000, 60_000), "far more pixels than a camera makes"),
        (
            png_of(10_000, 9_000),
            "10,000 x 9,000 pixels.\nWhat to do: Choose one of at most 9 MiB and 50 million",
        ),
        (b"\x00\x00\x00\x18ftypheic", "Apple's format HEIC"),
    ],
)
def test_what_is_no_picture_gets_words(content, words):
    with pytest.raises(BadInput, match=words):
        decode(content, "me")


def test_too_many_bytes(monkeypatch):
    monkeypatch.setattr(upload, "MOST_BYTES", 2**20)
    with pytest.raises(BadInput, match="me is too large: 2 MiB"):
        decode(bytes(2**21), "me")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_broken_files_raise_nothing_else(half, form):
    rng = np.random.default_rng(0)
    whole = file_of(Image.fromarray(rng.integers(0, 256, (24, 40, 3)).astype(np.uint8)), form)
    told = 0
    for _ in range(60):
        broken = np.frombuffer(whole, np.uint8).copy()
        broken[rng.integers(len(broken), size=8)] = rng.integers(0, 256, 8)
        for content in (broken.tobytes(), whole[: rng.integers(len(whole))]):
            try:
                assert decode(content).dtype == np.uint8
            except BadInput:
                told += 1
    assert told > 20


def test_too_small():
    with pytest.raises(BadInput, match="30 x 7 pixels are too few"):
        decode(file_of(Image.new("RGB", (30, 7))))


def test_the_start_may_be_an_array_or_an_image(half):
    for given in (half, Image.fromarray(half), Image.fromarray(half).convert("P")):
        assert is_half(Upload(given).start)
    assert Upload(half[..., 0]).start.shape == Upload(half[..., :1]).start.shape == (24, 40, 3)
    assert repr(Upload(half)) == "Upload(40 x 24 pixels)"


def test_the_start_is_not_changed(half):
    before = half.copy()
    Upload(half).start[:] = 0
    assert np.array_equal(half, before)


@pytest.mark.parametrize("given", [np.zeros((9, 9, 3)), np.zeros((9, 9, 2), np.uint8), "me.png", None, 3])
def test_other_starts_are_refused(given):
    with pytest.raises(BadInput, match=r"The picture is an array .*\nWhat to do: Give uint8"):
        Upload(given)
