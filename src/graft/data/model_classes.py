"""Images labelled by the classes that a model knows. Imports no torch."""

from collections.abc import Sequence

import numpy as np

from graft.configuration.names import nfc
from graft.data.sample_data import SampleData
from graft.errors import GraftError, did_you_mean


def in_order_of(data: SampleData, class_names: Sequence[str]) -> SampleData:
    """The same images with the model's classes, in the model's order.

    Raises:
        GraftError: the data has a class that the model does not know.
    """
    known = {nfc(name): index for index, name in enumerate(class_names)}
    for name in data.class_names:
        if nfc(name) not in known:
            hint = did_you_mean(name, class_names) or f"; it knows {', '.join(class_names[:10])}"
            raise GraftError(f"data has the class {name}, which the model does not know{hint}")
    to_model = np.array([known[nfc(name)] for name in data.class_names], dtype=np.int64)
    return data.relabelled(to_model, list(class_names))
