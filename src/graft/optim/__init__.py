"""What moves the weights: parameter groups and learning-rate schedules."""

from graft.optim.groups import parameter_groups as parameter_groups
from graft.optim.groups import weight_penalty as weight_penalty
from graft.optim.lbfgs import LBFGS as LBFGS
from graft.optim.schedules import Span as Span
from graft.optim.schedules import constant as constant
from graft.optim.schedules import cosine as cosine
from graft.optim.schedules import plateau as plateau
from graft.optim.schedules import step as step
