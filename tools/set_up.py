"""Set up .venv for the course: what every `make` command does first, and does only once.

Standard library only, and syntax that an old Python can read: it must be able to say that it is too old.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GIB = 5.0
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def say(text):
    """Print one line of progress at once."""
    sys.stdout.write("[set-up] " + text + "\n")
    sys.stdout.flush()


def fail(problem, remedy):
    """Stop with what is wrong and what to do."""
    sys.stderr.write("[set-up] " + problem + "\nWhat to do: " + remedy + "\n")
    sys.exit(1)


def suitable(version):
    """Tell whether the frameworks have wheels for this (major, minor)."""
    return OLDEST <= tuple(version[:2]) <= NEWEST


def ask_version(command):
    """Return the (major, minor) that `command` really runs, or None."""
    try:
        out = subprocess.check_output(
            [command, "-c", "import sys; print('%d %d' % sys.version_info[:2])"], stderr=subprocess.DEVNULL
        )
        return tuple(int(part) for part in out.split())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def find_python(own_version, ask=ask_version):
    """Return the interpreter to build .venv with: this one, or another on the PATH."""
    if suitable(own_version):
        return sys.executable
    for name in ("python3.13", "python3.12", "python3.11"):
        version = ask(name)
        if version and suitable(version):
            say("%s is used, python3 being %d.%d." % (name, own_version[0], own_version[1]))
            return name
    age = "old" if tuple(own_version[:2]) < OLDEST else "new"
    fail(
        "This Python is %d.%d, too %s: the course needs 3.11, 3.12 or 3.13."
        % (own_version[0], own_version[1], age),
        "install one of them (https://www.python.org/downloads or your package manager), then run the same "
        "command again, or name it: make run PYTHON=/path/to/python3.12",
    )


def venv_python(venv):
    """Return the path of the interpreter inside `venv`."""
    return (
        os.path.join(venv, "Scripts", "python.exe")
        if os.name == "nt"
        else os.path.join(venv, "bin", "python")
    )


def wanted(torch, version):
    """Return what the set-up depends on: when it changes, set-up runs again."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {"pyproject": digest, "torch": torch, "python": list(version), "root": ROOT}


def read_stamp(path):
    """Return what the last complete set-up wrote; {} when there was none."""
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def write_stamp(path, stamp):
    """Write the stamp whole or not at all."""
    with open(path + ".part", "w") as file:
        json.dump(stamp, file, indent=1, sort_keys=True)
    os.replace(path + ".part", path)


def torch_pin():
    """Return the exact PyTorch of pyproject.toml, the one place for pins."""
    with open(os.path.join(ROOT, "pyproject.toml")) as file:
        return re.search(r'"torch==([0-9.]+)"', file.read()).group(1)


def explain(output):
    """Turn the end of pip's output into a remedy."""
    text = output.lower()
    if "no space left" in text or "errno 28" in text:
        return (
            "the disk is full: the course needs about %d GB; free some, then run the same command again."
            % NEEDED_GIB
        )
    if re.search(
        r"name resolution|failed to establish|connection (refused|reset|aborted)|timed? ?out|proxyerror|ssl",
        text,
    ):
        return (
            "no package index answered: check the network and proxy, or set your mirror once with "
            "`pip config set global.index-url https://...`; then run the same command again, nothing is lost."
        )
    if "no matching distribution" in text:
        return (
            "your package index does not have this version for this machine (%s, Python %s): use PyPI or "
            "a complete mirror of it, and see 'Platforms' in README.md."
            % (platform.platform(), platform.python_version())
        )
    return "read pip's message above; when it stays unclear, `make clean` and run the same command again."


def pip(python, arguments, quiet=True, check=True):
    """Run pip; on failure show its last lines and a remedy. Returns success."""
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)
    lines = []
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip()
        lines.append(line)
        if not quiet and line.startswith(("Collecting", "Building", "Installing collected", "Preparing")):
            say("  " + (line if len(line) < 100 else line[:97] + "..."))
    if process.wait() != 0 and check:
        tail = "\n".join(lines[-15:])
        sys.stderr.write(tail + "\n")
        fail("pip could not finish: " + " ".join(arguments[:3]), explain(tail))
    return process.returncode == 0


def answers(url, seconds=5):
    """Tell whether `url` answers quickly."""
    try:
        with urllib.request.urlopen(url, timeout=seconds):
            return True
    except (OSError, ValueError):
        return False


def cuda_build(python, requirement):
    """Tell whether the plain index would bring NVIDIA's libraries with PyTorch."""
    handle, report = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    try:
        arguments = ["install", "--dry-run", "--quiet", "--report", report, requirement]
        if not pip(python, arguments, check=False):
            return False
        with open(report) as file:
            return any(
                part["metadata"]["name"].lower().startswith("nvidia") for part in json.load(file)["install"]
            )
    except (OSError, ValueError, KeyError):
        return False
    finally:
        os.remove(report)


def install_torch(python, torch):
    """Install PyTorch first, so that the build chosen here is the one that stays."""
    pin = torch_pin()
    local_builds = sys.platform != "darwin"
    if torch == "cpu" and local_builds:
        if answers(CPU_INDEX + "/torch/"):
            say("PyTorch %s, CPU build, from PyTorch's own index." % pin)
            arguments = ["install", "--retries", "0", "--timeout", "20", "--extra-index-url", CPU_INDEX]
            if pip(python, [*arguments, "torch==%s+cpu" % pin], check=False):
                return
        say("PyTorch's own CPU index does not answer; your package index is used instead.")
        if sys.platform.startswith("linux") and cuda_build(python, "torch==" + pin):
            say("Your index has only the build with CUDA: 3 GB more to download, 5 GB more disk. It works")
            say("without a GPU. Too much? Ctrl-C, and again where https://download.pytorch.org answers.")
    elif torch not in ("cpu", "cuda"):
        arguments = ["install", "--index-url", "https://download.pytorch.org/whl/" + torch]
        say("PyTorch %s for %s from PyTorch's own index." % (pin, torch))
        pip(python, [*arguments, "torch==" + pin], quiet=False)
        return
    say("PyTorch %s from your package index." % pin)
    pip(python, ["install", "torch==" + pin], quiet=False)


def make_venv(base, venv):
    """Create .venv, or keep one whose interpreter still runs."""
    say("Creating %s with %s." % (os.path.relpath(venv, ROOT), base))
    done = subprocess.Popen(
        [base, "-m", "venv", "--clear", venv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    text = done.communicate()[0].decode("utf-8", "replace")
    if done.returncode != 0:
        sys.stderr.write(text)
        fail(
            "The virtual environment could not be made.",
            "on Debian and Ubuntu: apt install python3-venv; on a full disk: free some.",
        )


def set_up(torch, extras, venv):
    """Bring `venv` to what pyproject.toml says; return at once when it is there already."""
    base = find_python(sys.version_info)
    version = sys.version_info[:2] if base == sys.executable else ask_version(base)
    target = wanted(torch, version)
    stamp_path = os.path.join(venv, "carryover-set-up.json")
    stamp = read_stamp(stamp_path)
    python = venv_python(venv)
    same = {key: stamp.get(key) for key in target} == target and os.path.exists(python)
    missing = [extra for extra in extras if not same or extra not in stamp.get("extras", [])]
    if same and not missing:
        return
    started = time.time()
    fresh = ask_version(python) != tuple(version) or stamp.get("root", ROOT) != ROOT
    if fresh:
        free = shutil.disk_usage(ROOT).free / 2.0**30
        if free < NEEDED_GIB:
            fail(
                "%.1f GiB of disk are free, the course needs %.0f." % (free, NEEDED_GIB),
                "free some disk, or clone the course onto a larger one.",
            )
        say("First set-up: about 1.3 GB to download, 3 to 10 minutes. Later calls skip this.")
        make_venv(base, venv)
    if os.path.exists(stamp_path):
        os.remove(stamp_path)  # half a set-up must not look like a whole one
    if not same:
        if not fresh and stamp.get("torch", torch) != torch:
            pip(python, ["uninstall", "-y", "torch"])
        install_torch(python, torch)
    names = sorted(set(missing) | set(stamp.get("extras", [])))
    say(
        "TensorFlow, Jupyter and the rest, as pinned in pyproject.toml"
        + (" (with %s)." % ", ".join(names) if names else ".")
    )
    pip(python, ["install", "--editable", ".[%s]" % ",".join(names) if names else "."], quiet=False)
    write_stamp(stamp_path, dict(target, extras=names, seconds=round(time.time() - started, 1)))
    say("Done in %.1f minutes." % ((time.time() - started) / 60))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Set up .venv for the course.")
    parser.add_argument(
        "--torch", default="cpu", help="cpu (default), cuda, or a folder of PyTorch's index such as rocm6.4"
    )
    parser.add_argument(
        "--extra", action="append", default=[], help="an extra of pyproject.toml, for instance test"
    )
    parser.add_argument("--venv", default=os.path.join(ROOT, ".venv"))
    options = parser.parse_args()
    try:
        set_up(options.torch, options.extra, options.venv)
    except KeyboardInterrupt:
        fail("Interrupted.", "run the same command again: it goes on where it was.")


if __name__ == "__main__":
    main()
