"""The command `course`: ``lab``, ``run``, ``doctor``, ``fetch`` and ``bench``.

Everything heavy is imported inside the command that needs it, so that ``course --help`` answers at once.
"""

from __future__ import annotations

from course_lib.cli.app import app, main

__all__ = ["app", "main"]
