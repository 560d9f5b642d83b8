"""λR(W, b) of the objective, mean loss + λR: what the loss alone does not ask of the weights."""

from graft.regularization.behaviour import Delta as Delta
from graft.regularization.co_tuning import CoTuning as CoTuning
from graft.regularization.penalties import L1 as L1
from graft.regularization.penalties import L2 as L2
from graft.regularization.regularizer import Regularizer as Regularizer
from graft.regularization.regularizer import none as none
from graft.regularization.spectrum import BatchSpectralShrinkage as BatchSpectralShrinkage
from graft.regularization.starting_point import L2SP as L2SP
from graft.regularization.stochastic_norm import StochNorm as StochNorm
