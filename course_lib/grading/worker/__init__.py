"""What runs beside a student's code: inside the sandbox, with nothing of the rest of the library.

The grader shows this folder, and only this folder, to the process that executes submissions; so its modules
import the standard library and NumPy alone, and each other by relative imports.
"""
