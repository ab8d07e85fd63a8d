"""The course in JupyterLab: how it opens, what it remembers, the map of the course in notebook 00.

`course_map` is for notebooks; `course_lib.lab.server` is behind `course lab`.
"""

from course_lib.lab.course_map import CourseMap, course_map

__all__ = ["CourseMap", "course_map"]
