"""What a run says before its first step."""

from types import SimpleNamespace

from graft.backbones import simple_cnn
from graft.models import Bundle, HowTested, linear, save_bundle
from graft.training.beginning import knows_the_classes


def test_a_hint_at_the_source_s_head_stops_no_run(tmp_path):
    backbone = simple_cnn(image_size=16)
    bundle = Bundle(backbone, linear(84, 3), list("abc"), backbone.preprocessing, HowTested())
    nodes = {
        "backbone": {"_target_": "graft.backbones.simple_cnn"},
        "head": {"_target_": "graft.models.linear"},
    }
    save_bundle(tmp_path, bundle, nodes)
    weights = {"weights": str(tmp_path)}

    def hints(names, head="graft.models.linear"):
        return knows_the_classes(SimpleNamespace(backbone=weights, head={"_target_": head}), list(names))

    assert hints("cab")
    assert not hints("abd")
    assert not hints("abc", "graft.models.kept_head")
    (tmp_path / "model.yaml").write_text("class_names: 3")
    assert not hints("abc")
    # Weights alone are a source of weights, too.
    (tmp_path / "model.yaml").unlink()
    assert not hints("abc")
    weights["weights"] = str(tmp_path / "model.safetensors")
    assert not hints("abc")
