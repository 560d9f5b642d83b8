"""What is predicted: the loss, what an epoch tallies, what a prediction is, what a test comes to."""

from graft.tasks.single_label import SingleLabel as SingleLabel
from graft.tasks.task import Task as Task
