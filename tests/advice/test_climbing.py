"""The ladder, climbed by trainings that take no time: what is trained, when it stops, what is chosen."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graft.advice.backbones import Ranked, Speed, cheapest, go_on, within
from graft.advice.climbing import best_of, climb, ladder_of
from graft.advice.ladder import LADDER, SOLVED, shared_words, words_of
from graft.advice.prior import Facts, shipped
from graft.advice.trainings import Training
from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.ranking.candidates import Candidate
from graft.runs.advice_folder import AdviceFolder
from graft.runs.files import write_csv, write_json, write_yaml
from graft.runs.folder import RunFolder
