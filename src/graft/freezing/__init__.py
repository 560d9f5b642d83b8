"""How much of the backbone trains, and when: strategies, and the one callback that applies them."""

from graft.freezing.custom import Custom as Custom
from graft.freezing.lora import Lora as Lora
from graft.freezing.lp_ft import LpFt as LpFt
from graft.freezing.parts import Part as Part
from graft.freezing.plan import FreezePlan as FreezePlan
from graft.freezing.strategies import BiasOnly as BiasOnly
from graft.freezing.strategies import FreezeStrategy as FreezeStrategy
from graft.freezing.strategies import FreezeUnfreeze as FreezeUnfreeze
from graft.freezing.strategies import Frozen as Frozen
from graft.freezing.strategies import Full as Full
from graft.freezing.strategies import Gradual as Gradual
from graft.freezing.strategies import LastK as LastK
from graft.freezing.strategies import NormOnly as NormOnly
from graft.freezing.strategies import Treatment as Treatment
