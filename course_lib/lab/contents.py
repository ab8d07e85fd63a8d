"""How the course's JupyterLab reads notebooks: with what it would write into each as soon as it is opened."""

from __future__ import annotations

from typing import Any

from ipykernel.ipkernel import IPythonKernel
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from course_lib.lab.settings import DISPLAYED, KERNEL


class Contents(AsyncLargeFileManager):
    """Files, as JupyterLab reads and writes them.

    JupyterLab notes the kernel and its version in a notebook when the kernel starts, which makes every one
    that is only looked at unsaved, with a question when it is closed. Here they are noted when it is read;
    the file keeps what it has until it is saved.
    """

    async def get(self, path: str, *options: Any, **named: Any) -> dict[str, Any]:
        """Return a file or folder."""
        model: dict[str, Any] = await super().get(path, *options, **named)  # type: ignore[no-untyped-call]
        if model["type"] == "notebook" and model["content"] is not None:
            note_kernel(model["content"]["metadata"])
        return model


def note_kernel(metadata: dict[str, Any]) -> None:
    """Write the course's kernel into a notebook's metadata as JupyterLab does; another one's is left.

    Examples
    --------
    >>> metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    >>> note_kernel(metadata)
    >>> metadata["kernelspec"]["display_name"], metadata["language_info"]["file_extension"]
    ('Carryover', '.py')
    """
    if metadata.get("kernelspec", {}).get("name") != KERNEL:
        return
    metadata["kernelspec"] = {"name": KERNEL, "display_name": DISPLAYED, "language": "python"}
    metadata["language_info"] = dict(IPythonKernel.language_info)
