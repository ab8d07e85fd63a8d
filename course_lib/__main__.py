"""``python -m course_lib`` is ``course``."""

from course_lib.cli import main

if __name__ == "__main__":
    main()
