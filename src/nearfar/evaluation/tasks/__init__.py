"""The evaluation tasks, one file each."""

from nearfar.evaluation.tasks.task import TASKS, Asked, Decoding, Task, check_able, scores_pairs, task_of, tasks_named

__all__ = ["TASKS", "Asked", "Decoding", "Task", "check_able", "scores_pairs", "task_of", "tasks_named"]
