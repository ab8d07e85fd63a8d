"""``python -m course_lib.glossary``: print ``docs/glossary.md``."""

from course_lib.glossary import page

print(page(), end="")
