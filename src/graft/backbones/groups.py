"""A model whose structure no map knows: one block of stages, which freeze apart and run together."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from graft.backbones.torchvision_stages import Stages


class Group(nn.Module):
    """The modules of one group of a model, which hands on what it is given; the last runs the whole model.

    So the tensors before the last group are the images. What is frozen has no gradient and stands in
    evaluation mode all the same, for its modules are the model's own.
    """

    def __init__(self) -> None:
        super().__init__()
        # In tuples, so that they are no submodules: what belongs to other groups is in them too.
        self.around: tuple[nn.Module, ...] = ()
        self.whole: tuple[Any, ...] = ()

    def hold(self, path: str, module: nn.Module) -> None:
        """Take a module in under the name that it has in the model."""
        *above, name = path.split(".")
        place: nn.Module = self
        for step in above:
            if step not in place._modules:
                place.add_module(step, nn.Module())
            place = place.get_submodule(step)
        place.add_module(name, module)

    def train(self, mode: bool = True) -> "Group":
        """Also the modules that hold several groups, since some models' look at their own mode."""
        super().train(mode)
        for module in self.around:
            module.training = mode
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Group":
        """Also to the whole model, so that a copy of the last group alone is moved as a whole."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for model in self.whole:
            model._apply(fn)
        return self

    def forward(self, given: Any) -> Any:  # noqa: D102
        for model in self.whole:
            given = model(given)
        # Nothing but the input where it is not the last.
        return given


def grouped(model: nn.Module, places: Mapping[int, int], whole: nn.Module) -> Stages:
    """The stages of a model, stem first.

    Args:
        model: without its classifier.
        places: which group each parameter is of, by its `id`; one that is not among them is of the first.
        whole: runs the model, from the input to features `(B, D)`.
    """
    shares = _Shares(places)
    shares.give(model, "", 0)
    stages = [group for _, group in sorted(shares.groups.items())]
    # What runs the model is in its mode too.
    outside = [module for module in whole.modules() if module not in set(model.modules())]
    stages[-1].around, stages[-1].whole = (*shares.around, *outside), (whole,)
    return {"stem" if number == 0 else f"group{number}": group for number, group in enumerate(stages)}


class _Shares:
    """Which group has what, as a model is gone through.

    Args:
        places: of each parameter, by its `id`.
    """

    def __init__(self, places: Mapping[int, int]) -> None:
        self.places = places
        self.groups: dict[int, Group] = {}
        self.around: list[nn.Module] = []
        self._given: set[nn.Module] = set()

    def give(self, module: nn.Module, path: str, before: int) -> int:
        """Give each group what of a module is its own; the place of the group that was given something last.

        A module goes whole where all of it is of one group; what has no parameters goes with what stands
        before it. Parameters that a divided module has itself go with the first of them; CoaT alone has some
        of several groups. A module that stands in two places, as CoaT's positions do, goes with the first.
        """
        if module in self._given:
            return before
        places = {self.places.get(id(parameter), 0) for parameter in module.parameters()}
        if path and len(places) <= 1 and not self._given.intersection(module.modules()):
            before = next(iter(places), before)
            self._hold(before, path, module)
            return before
        self.around.append(module)
        if any(value is not None for value in (*module._parameters.values(), *module._buffers.values())):
            first = next((p for p in module._parameters.values() if p is not None), None)
            before = before if first is None else self.places.get(id(first), 0)
            # The dictionaries stay the module's own: a tensor that is replaced there is replaced here.
            part = copy.copy(module)
            part._modules = {}
            self._hold(before, f"{path}.own".removeprefix("."), part)
        for name, child in module.named_children():
            before = self.give(child, f"{path}.{name}".removeprefix("."), before)
        return before

    def _hold(self, place: int, path: str, module: nn.Module) -> None:
        self.groups.setdefault(place, Group()).hold(path, module)
        self._given.update(module.modules())
