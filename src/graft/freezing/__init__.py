"""How much of the backbone trains, and when: strategies, and the one callback that applies them."""

from graft.freezing.strategies import Frozen as Frozen
from graft.freezing.strategies import Full as Full
from graft.freezing.strategies import LastK as LastK
from graft.freezing.strategies import Part as Part
from graft.freezing.strategies import Treatment as Treatment
