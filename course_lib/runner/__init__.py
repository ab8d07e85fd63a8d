"""Executing the notebooks: in order, resumable, with pages to read and results to compare."""

from __future__ import annotations

from course_lib.runner.course import run_course

__all__ = ["run_course"]
