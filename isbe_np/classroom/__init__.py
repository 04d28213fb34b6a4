"""The classroom: assignments, their release to students, and a grader that survives what is handed in.

A submission runs in processes of its own behind the walls of `sandbox_limits.py`. The grader asks it for arrays and compares
them with a reference that it computes when that process is dead.
"""

from isbe_np.classroom.assignment import Assignment, AssignmentError, Check, Race, Task
from isbe_np.classroom.protocol import Formula
from isbe_np.classroom.sandbox import Limits

__all__ = ["Assignment", "AssignmentError", "Check", "Formula", "Limits", "Race", "Task"]
