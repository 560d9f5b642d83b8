"""The greedy soup: the order of tasting, what stays, and whose statistics fit."""

from collections.abc import Sequence

import torch
from torch import nn

from graft.models.soup import Tried, greedy, mean_state
from graft.models.wise_ft import unfit


def test_ingredients_are_tried_from_the_best_and_stay_where_nothing_is_lost() -> None:
    asked: list[list[int]] = []
    of = {(2, 0): 0.8, (2, 0, 3): 0.7, (2, 0, 1): 0.9}

    def score_of(numbers: Sequence[int]) -> float:
        asked.append(list(numbers))
        return of[tuple(numbers)]

    tried = greedy([0.7, 0.5, 0.8, 0.6], score_of)
    assert asked == [[2, 0], [2, 0, 3], [2, 0, 1]]
    assert tried == [Tried(2, 0.8, True), Tried(0, 0.8, True), Tried(3, 0.7, False), Tried(1, 0.9, True)]


def test_the_mean_is_of_the_weights_and_counters_stay() -> None:
    states = [
        {"weight": torch.tensor([1.0, 2.0]), "count": torch.tensor(3)},
        {"weight": torch.tensor([3.0, 6.0]), "count": torch.tensor(9)},
    ]
    mean = mean_state(states)
    assert mean["weight"].tolist() == [2.0, 4.0]
    assert mean["count"].item() == 3
    # Of one alone it is that one, to the bit, and no other's memory.
    alone = mean_state(states[:1])
    assert alone["weight"].equal(states[0]["weight"])
    alone["weight"][0] = 7
    assert states[0]["weight"][0] == 1


def test_statistics_that_differ_fit_no_mean_and_frozen_ones_do() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    states = [{key: value.clone() for key, value in model.state_dict().items()} for _ in range(2)]
    assert unfit(model, states) == []
    states[1]["1.running_var"] += 1
    assert unfit(model, states) == ["1"]
