"""Facts: the rounded line, the exact value, and what a kernel is sent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.facts import MIME


@pytest.mark.parametrize(
    ("value", "unit", "to", "line"),
    [
        (0.76449, "%", 0.01, "it: 76 %"),
        (0.7651, "%", 0.01, "it: 77 %"),
        (0.7649, "%", 0.001, "it: 76.5 %"),
        (0.7649, "%", 0.05, "it: 75 %"),
        (1.0, "%", 0.01, "it: 100 %"),
        (-0.004, "%", 0.01, "it: 0 %"),
        (-0.12, "%", 0.01, "it: -12 %"),
        (12345, "labels", None, "it: 12,345 labels"),
        (12345, "labels", 1000, "it: 12,000 labels"),
        (3.14159, "", None, "it: 3.14"),
        (0.000123456, "s", None, "it: 0.000123 s"),
        (0, "", None, "it: 0"),
        (0.30000000000000004, "", 0.1, "it: 0.3"),
        ("cifar10", "", None, "it: cifar10"),
    ],
)
def test_the_line(capsys, value, unit, to, line) -> None:
    measure.fact("it", value, unit=unit, to=to)
    assert capsys.readouterr().out == line + "\n"


def test_what_cannot_be_stated() -> None:
    with pytest.raises(BadInput, match="finite"):
        measure.fact("it", float("nan"))
    with pytest.raises(BadInput, match="positive"):
        measure.fact("it", 0.5, to=0)


class Kernel:
    """Stands for IPython in a notebook; keeps what is published."""

    def __init__(self) -> None:
        self.kernel, self.display_pub, self.published = object(), self, []

    def get_ipython(self):
        return self

    def publish(self, data) -> None:
        self.published.append(data)


def test_a_kernel_gets_both_forms_and_nothing_is_printed(capsys, monkeypatch) -> None:
    kernel = Kernel()
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    measure.fact("probe, 5,000 labels", 0.76431, unit="%", to=0.01)
    (data,) = kernel.published
    assert data["text/plain"] == "probe, 5,000 labels: 76 %"
    assert data[MIME] == {"name": "probe, 5,000 labels", "value": 0.76431, "unit": "%", "rounded": 0.76}
    assert capsys.readouterr().out == ""


def test_a_real_kernel_shell_publishes(monkeypatch) -> None:
    """The published data really is a display_data message of a kernel's shell."""
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    cell = nbformat.v4.new_code_cell(
        "from course_lib import measure\nmeasure.fact('it', 0.764, unit='%', to=0.01)"
    )
    book = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(book, timeout=60).execute()
    (output,) = book.cells[0].outputs
    assert output.output_type == "display_data"
    assert output.data["text/plain"] == "it: 76 %" and output.data[MIME]["value"] == 0.764


def test_measure_imports_no_framework() -> None:
    code = (
        "import sys, course_lib.measure; print({'tensorflow', 'torch', 'keras'} & set(sys.modules) or 'none')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "none"
