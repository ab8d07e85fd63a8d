"""The downloader against servers, disks and processes that misbehave: a clear error, and nothing lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from course_lib.errors import BadInput, Corrupt, CourseError, DataUnavailable
from course_lib.tasks import catalogue, download, first_available, store

BODY = np.random.default_rng(0).bytes(2_000_000)  # as the server has it
HASTY = (1.0, 0.6)


def fetch(**options):
    return store.fetch("cifar10", timeout=HASTY, **options)


def part(cache):
    return cache / "data" / f"{store.MANIFEST['cifar10'].file}.part"


def with_part(cache, content: bytes) -> None:
    part(cache).parent.mkdir(parents=True)
    part(cache).write_bytes(content)


def test_a_download_is_verified_and_not_repeated(server, published) -> None:
    published("ok")
    path = fetch()
    assert path.read_bytes() == BODY
    assert fetch() == path
    assert len(server.log) == 1
    assert {p.name for p in path.parent.iterdir()} <= {path.name, "cifar10.lock"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("404", "HTTP 404"),
        ("500", "HTTP 500"),
        ("hang", "no answer within 0.6 s"),
        ("stall", "nothing came for 0.6 s"),
        ("html", "instead of 2,000,000 bytes"),
        ("truncated", "the connection"),
    ],
)
def test_a_server_that_fails(server, published, how, said) -> None:
    entry = published(how)
    with pytest.raises(DataUnavailable) as caught:
        fetch()
    text = str(caught.value)
    assert said in text
    assert entry.url in text
    assert "What to do: " in text and "--from" in text and "COURSE_DATA" in text


def test_each_address_is_tried_and_named(server, published) -> None:
    entry = published("404", "500", "html")
    with pytest.raises(DataUnavailable) as caught:
        fetch()
    assert all(address in str(caught.value) for address in (entry.url, *entry.mirrors))


def test_a_mirror_helps(server, published) -> None:
    published("404", "500", "hang", "ok")
    assert fetch().read_bytes() == BODY


def test_wrong_bytes_are_never_kept(server, published, own_cache) -> None:
    published("wrong")
    with pytest.raises(Corrupt, match="not the published ones"):
        fetch()
    assert not part(own_cache).exists()
    published("wrong", "ok")
    assert fetch().read_bytes() == BODY


def test_a_broken_connection_is_taken_up_again(server, published) -> None:
    published("drop")
    assert fetch().read_bytes() == BODY
    assert [bool(ranged) for _, ranged in server.log] == [False, True, True]


def test_an_earlier_beginning_is_used(server, published, own_cache) -> None:
    published("ok")
    with_part(own_cache, BODY[:1_500_000])
    assert fetch().read_bytes() == BODY
    assert server.log == [("ok", "bytes=1500000-")]


def test_a_server_without_ranges_starts_again(server, published, own_cache) -> None:
    published("norange")
    with_part(own_cache, BODY[:1000])
    assert fetch().read_bytes() == BODY


@pytest.mark.parametrize("beginning", [bytes(1_000_000), bytes(2_000_000), bytes(2_500_000)])
def test_a_wrong_beginning_is_thrown_away_once(server, published, own_cache, beginning) -> None:
    published("ok")
    with_part(own_cache, beginning)
    assert fetch().read_bytes() == BODY


def test_what_came_before_a_failure_is_kept(server, published, own_cache) -> None:
    published("truncated")
    with pytest.raises(DataUnavailable, match="1,000,000 of 2,000,000 bytes are kept"):
        fetch()
    published("ok")
    assert fetch().read_bytes() == BODY
    assert server.log[-1] == ("ok", "bytes=1000000-")


def test_a_damaged_file_in_the_cache_is_replaced(server, published, own_cache) -> None:
    published("ok")
    path = fetch()
    path.write_bytes(bytes(len(BODY)))
    assert fetch().read_bytes() == BODY
    assert len(server.log) == 2


def test_a_full_disk(server, published, own_cache, monkeypatch) -> None:
    published("ok")
    with_part(own_cache, BODY[:5000])
    real = download.write

    def full(file, chunk):
        class Full:
            def write(self, _):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        real(Full(), chunk)

    monkeypatch.setattr(download, "write", full)
    with pytest.raises(DataUnavailable, match=r"No space left(.|\n)*5,000 bytes are kept(.|\n)*COURSE_CACHE"):
        fetch()
    monkeypatch.undo()
    assert part(own_cache).read_bytes() == BODY[:5000]


def test_a_cache_that_cannot_be_written(server, published, tmp_path, monkeypatch) -> None:
    published("ok")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataUnavailable, match="COURSE_CACHE"):
        fetch()


def test_offline_asks_nobody(server, published, monkeypatch) -> None:
    published("ok")
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(DataUnavailable, match="COURSE_OFFLINE"):
        fetch()
    assert server.log == []


def test_no_network(published, monkeypatch) -> None:
    import dataclasses

    lost = dataclasses.replace(published("ok"), url="http://127.0.0.1:9/x.tar.gz", mirrors=())
    monkeypatch.setitem(store.MANIFEST, "cifar10", lost)
    with pytest.raises(DataUnavailable, match="no connection"):
        fetch()


def test_sources_of_ones_own(server, published, tmp_path) -> None:
    entry = published("404")
    here = tmp_path / "here"
    here.mkdir()
    (here / entry.file).write_bytes(BODY)
    for source in (here, here / entry.file):
        assert fetch(source=source).read_bytes() == BODY
        store.cache_dir("data").joinpath(entry.file).unlink()
    base = f"http://127.0.0.1:{server.server_port}/ok"
    assert fetch(source=base).read_bytes() == BODY
    store.cache_dir("data").joinpath(entry.file).unlink()
    assert fetch(source=f"{base}/{entry.file}").read_bytes() == BODY


def test_a_wrong_source_is_refused(published, tmp_path) -> None:
    entry = published("ok")
    with pytest.raises(BadInput, match="does not exist"):
        fetch(source=tmp_path / "nowhere")
    (tmp_path / entry.file).write_bytes(BODY[:-1] + b"?")
    with pytest.raises(Corrupt, match="damaged"):
        fetch(source=tmp_path / entry.file)
    assert store.locate("cifar10") is None


def test_an_unknown_name() -> None:
    with pytest.raises(BadInput, match="cifar100"):
        store.fetch("cifar11")


def child(entry: store.Entry) -> list[str]:
    code = (
        "import dataclasses\n"
        "from course_lib.tasks import store\n"
        "old = store.MANIFEST['cifar10']\n"
        f"new = dict(sha256={entry.sha256!r}, bytes={entry.bytes}, url={entry.url!r}, mirrors=())\n"
        "store.MANIFEST['cifar10'] = dataclasses.replace(old, **new)\n"
        "print(store.fetch('cifar10', timeout=(2, 2)).stat().st_size)\n"
    )
    return [sys.executable, "-c", code]


def test_two_processes_download_once(server, published) -> None:
    command = child(published("slow"))
    jobs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [job.communicate(timeout=60) for job in jobs]
    assert [out.strip() for out, _ in told] == [str(len(BODY))] * 2
    assert len(server.log) == 1
    assert sum("waiting for it" in err for _, err in told) == 1


def test_a_killed_download_goes_on(server, published, own_cache) -> None:
    command = child(published("slow"))
    job = subprocess.Popen(command)
    deadline = time.monotonic() + 30
    while not (part(own_cache).exists() and part(own_cache).stat().st_size > 500_000):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.kill()
    job.wait()
    kept = part(own_cache).stat().st_size
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(len(BODY))
    assert server.log[-1] == ("slow", f"bytes={kept}-")


def test_an_automatic_download_that_failed_is_not_tried_for_an_hour(server, published, capsys) -> None:
    published("500")
    assert first_available("cifar10", "solar_cells") == "solar_cells"
    asked = len(server.log)
    assert asked > 0
    assert first_available("cifar10", "solar_cells") == "solar_cells"
    assert len(server.log) == asked
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("course fetch cifar10" in line for line in lines)
    note = catalogue._failure_note("cifar10")
    note.write_text('{"when": 0}')
    first_available("cifar10", "solar_cells")
    assert len(server.log) > asked
    with pytest.raises(CourseError, match="course doctor"):
        first_available("cifar10")
