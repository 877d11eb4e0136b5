"""The evaluation tasks, one file each."""

from nearfar.evaluation.tasks.task import TASKS, Asked, Task, check_able, reads_documents, task_of, tasks_named

__all__ = ["TASKS", "Asked", "Task", "check_able", "reads_documents", "task_of", "tasks_named"]
