"""What may not be divided: groups and pictures, joined where they have an image in common."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def joined(groups: Sequence[str] | None, pictures: NDArray[np.int64]) -> list[str]:
    """For each image the name of all that it must stay with.

    A copy joins the groups of its originals, and these join each other. Names are those of groups, the first
    of them where several are joined; without groups, numbers in the order of the images.

    Args:
        groups: of each image, such as a patient; None: there are none.
        pictures: `(N,)` the picture that each image shows: the index of its first copy.
    """
    if groups is None:
        return [f"{picture:012d}" for picture in pictures.tolist()]
    # Slow to import, and not needed where there are no copies.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    size = len(names) + len(pictures)
    graph = coo_array((np.ones(len(pictures)), (group_of, len(names) + pictures)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    # Names are sorted, so the first group of a component has the first name.
    _, first, of = np.unique(component[: len(names)], return_index=True, return_inverse=True)
    return [str(names[first[of[group]]]) for group in group_of]
