"""Kim's network: a vocabulary from the training texts alone, features, and how they go to another task."""

import pytest
import torch

from graft.backbones import text_cnn
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.weight_files import Weights
from graft.errors import GraftError

TEXTS = ["good good film", "bad film", "a bad bad thing"]
SMALL = {"embedding": 4, "channels": 3, "widths": [2, 3], "min_count": 1}


def network(texts=TEXTS, **changed):
    torch.manual_seed(0)
    return text_cnn(training=texts, **{**SMALL, **changed})


def weights_of(backbone, preprocessing=None):
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    recorded = (preprocessing or backbone.preprocessing).to_dict()
    description = {"preprocessing": recorded, "backbone": {"_target_": "text_cnn", **backbone.rebuilt}}
    return Weights("backbone.weights=run", {"": state}, description)


def test_stages_and_features():
    backbone = network().eval()
    assert backbone.stage_names == ["embedding", "convolutions"]
    assert backbone.preprocessing.vocabulary == ("bad", "film", "good", "a", "thing")
    rows = torch.tensor([[4, 4, 3, 0], [2, 3, 0, 0]])
    features = backbone(rows)
    assert features.shape == (2, backbone.width) == (2, 6)
    between = backbone(rows, stop=1)
    assert between.shape == (2, 4, 4)
    assert not between[1, 2:].any()
    assert torch.equal(backbone(between, start=1), features)


def test_features_are_the_greatest_of_convolutions_over_all_places():
    backbone = network().eval()
    vectors = backbone.stages["embedding"](torch.tensor([[2, 3, 4]]))
    wide = torch.cat([torch.zeros(1, 3, 4), vectors, torch.zeros(1, 3, 4)], 1)
    by_hand = []
    for convolution in backbone.stages["convolutions"].convolutions:
        width = convolution.kernel_size[0]
        windows = torch.stack([wide[0, start : start + width] for start in range(wide.shape[1] - width + 1)])
        values = torch.einsum("nwe,cew->nc", windows, convolution.weight) + convolution.bias
        by_hand.append(values.amax(0).relu())
    torch.testing.assert_close(backbone(torch.tensor([[2, 3, 4]]))[0], torch.cat(by_hand))


def test_features_do_not_change_with_zeros_behind_a_text():
    backbone = network(widths=[2, 5]).eval()
    short, long = torch.tensor([[2, 4]]), torch.tensor([[2, 4, *[0] * 9]])
    torch.testing.assert_close(backbone(short), backbone(long))


def test_what_trains_says_the_vocabulary_and_the_length(capsys):
    assert network(min_count=2).preprocessing.vocabulary == ("bad", "film", "good")
    cut = network(max_length=3).preprocessing
    assert cut.length == 3
    assert "1 training text has more than 3 words" in capsys.readouterr().out


def test_a_network_brings_its_vocabulary_to_another_task():
    source = network()
    other = ["a very long good new thing"] * 2
    target = network(other, weights=weights_of(source))
    assert target.preprocessing.vocabulary == source.preprocessing.vocabulary
    assert target.preprocessing.length == 6
    for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    # Of a bundle that is loaded nothing trains, and what it records stands, its size too.
    loaded = text_cnn(weights=weights_of(source))
    assert loaded.preprocessing == source.preprocessing
    assert loaded.rebuilt == source.rebuilt
    letters = text_cnn(weights=weights_of(network(tokens="characters")), training=other)
    assert letters.preprocessing.tokens == "characters"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"training": []}, "takes its vocabulary from training texts"),
        ({"training": [object()]}, "takes texts, and data has none"),
        ({"tokens": "letters"}, "backbone.tokens=letters is none of"),
        ({"weights": weights_of(network(), Preprocessing(4, 4))}, "was not trained on texts"),
        ({"weights": weights_of(network()), "tokens": "characters"}, r"give backbone.tokens=words"),
        ({"weights": weights_of(network()), "channels": 4}, "does not fit"),
        ({"weights": weights_of(network())._replace(description=None)}, "records no vocabulary"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_line(settings, words):
    with pytest.raises(GraftError, match=words) as caught:
        text_cnn(**{**SMALL, "training": TEXTS, **settings})
    assert "\n" not in str(caught.value)
