"""Backbones: images `(N, 3, H, W)` to features `(N, D)`, as ordered stages, and the weights they start from.

Names are imported when they are first asked for, so that `Preprocessing` costs no torch.
"""

from typing import TYPE_CHECKING

from graft.lazy import lazily

if TYPE_CHECKING:
    from graft.backbones.backbone import Backbone as Backbone
    from graft.backbones.carving import carve as carve
    from graft.backbones.carving import source_network as source_network
    from graft.backbones.kim_cnn import text_cnn as text_cnn
    from graft.backbones.lenet import simple_cnn as simple_cnn
    from graft.backbones.log_mel import LogMel as LogMel
    from graft.backbones.preprocessing import Preprocessing as Preprocessing
    from graft.backbones.row_network import table_mlp as table_mlp
    from graft.backbones.source_head import SourceHead as SourceHead
    from graft.backbones.timm import timm_backbone as timm_backbone
    from graft.backbones.torchvision import supported_names as supported_names
    from graft.backbones.torchvision import torchvision_backbone as torchvision_backbone
    from graft.backbones.transformers import transformers_backbone as transformers_backbone
    from graft.backbones.weights import load_weights as load_weights

_HOMES = {
    "backbone": ("Backbone",),
    "carving": ("carve", "source_network"),
    "kim_cnn": ("text_cnn",),
    "lenet": ("simple_cnn",),
    "log_mel": ("LogMel",),
    "preprocessing": ("Preprocessing",),
    "source_head": ("SourceHead",),
    "row_network": ("table_mlp",),
    "timm": ("timm_backbone",),
    "torchvision": ("supported_names", "torchvision_backbone"),
    "transformers": ("transformers_backbone",),
    "weights": ("load_weights",),
}

__getattr__ = lazily(__name__, _HOMES)
