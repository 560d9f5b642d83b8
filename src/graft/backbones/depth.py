"""How deep in a network each parameter lies, counted in blocks; for rates that decay by depth."""

from collections.abc import Iterator, Mapping

from torch import nn

# Classes of the modules that count as a block each.
Blocks = tuple[type[nn.Module], ...]


def depths(stages: Mapping[str, nn.Module], blocks: Blocks = ()) -> tuple[dict[int, int], int]:
    """The level of every parameter of a backbone, by its `id`, and the head's, which is the highest.

    As timm counts: the stem is level 0, each block of any stage is a level more. On the head's level is also
    what follows the last block, such as a final norm. What stands between two blocks goes with the next one
    where a stage begins with it, as a downsampling does, else with the one before it.

    Args:
        stages: of the backbone, stem first.
        blocks: the classes of its blocks. Where it has none of them each stage is a level, the last one the
            head's.
    """
    pieces = [list(_pieces(stage, blocks)) for stage in stages.values()]
    with_blocks = [index for index, stage in enumerate(pieces) if any(is_block for is_block, _ in stage)]
    if not with_blocks:
        each = {id(p): level for level, stage in enumerate(stages.values()) for p in stage.parameters()}
        return each, len(stages) - 1
    level_of: dict[int, int] = {}
    first, level = with_blocks[0], -1
    if first > 0:
        level_of = {id(p): 0 for stage in pieces[:first] for _, parameters in stage for p in parameters}
        level = 0
    behind: list[nn.Parameter] = []
    for index, stage in enumerate(pieces[first:], first):
        begins = index in with_blocks
        if begins:
            level_of |= dict.fromkeys(map(id, behind), level)
            behind = []
        for is_block, parameters in stage:
            if not is_block:
                behind += parameters
                continue
            level_of |= dict.fromkeys(map(id, behind), level + begins)
            level, behind, begins = level + 1, [], False
            level_of |= dict.fromkeys(map(id, parameters), level)
    return level_of | dict.fromkeys(map(id, behind), level + 1), level + 1


def _pieces(module: nn.Module, blocks: Blocks) -> Iterator[tuple[bool, list[nn.Parameter]]]:
    """The blocks of a module, and the parameters between them, in their order."""
    if isinstance(module, blocks):
        yield True, list(module.parameters())
        return
    if parameters := list(module.parameters(recurse=False)):
        yield False, parameters
    for child in module.children():
        yield from _pieces(child, blocks)
