"""Weights at an address are fetched once, and are what the checksum says or are not taken at all."""

import hashlib
import re

import pytest
import torch
from safetensors.torch import save

from graft.backbones import simple_cnn
from graft.errors import GraftError


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Where torch keeps what it fetched; this test's own."""
    folder = tmp_path / "torch"
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(folder))
    yield folder / "checkpoints"
    torch.hub.set_dir(before)


@pytest.fixture
def content(trained):
    return save(trained[0].state_dict())


@pytest.fixture
def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def address(server, content):
    server.files["/nets/a.pth"] = content
    return f"{server.address}/nets/a.pth"


def refusal(address, sha256):
    with pytest.raises(GraftError) as caught:
        simple_cnn(weights=address, sha256=sha256)
    message = str(caught.value)
    assert "\n" not in message
    return message


def names_in(folder):
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def test_a_file_is_fetched_once(server, address, sha256, trained, same, kept):
    for _ in range(2):
        assert same(simple_cnn(weights=address, sha256=sha256), trained[0])
    assert server.asked == ["GET /nets/a.pth"]
    assert names_in(kept) == [f"{sha256[:16]}-a.pth"]


def test_a_cached_file_needs_no_server(server, address, sha256, trained, same):
    simple_cnn(weights=address, sha256=sha256)
    server.files.clear()
    assert same(simple_cnn(weights=address, sha256=sha256), trained[0])


def test_what_follows_a_question_mark_is_in_no_file_s_name(server, address, sha256, trained, same, kept):
    words = f"{address}?download=true&x=a/b.bin"
    assert same(simple_cnn(weights=words, sha256=sha256), trained[0])
    assert server.asked == ["GET /nets/a.pth?download=true&x=a/b.bin"]
    assert names_in(kept) == [f"{sha256[:16]}-a.pth"]


def test_files_of_one_name_at_two_addresses_stay_apart(server, address, sha256, fresh, trained, same):
    other = save(fresh.state_dict())
    server.files["/others/a.pth"] = other
    elsewhere = f"{server.address}/others/a.pth"
    for _ in range(2):
        assert same(simple_cnn(weights=address, sha256=sha256), trained[0])
        assert same(simple_cnn(weights=elsewhere, sha256=hashlib.sha256(other).hexdigest()), fresh)
    assert len(server.asked) == 2


def test_another_sum_is_refused_and_leaves_nothing(address, kept):
    message = refusal(address, "0" * 64)
    assert message == f"backbone.weights={address} has another checksum than backbone.sha256={'0' * 64}"
    assert names_in(kept) == []


def test_no_sum_is_refused_before_anything_is_asked(server, address, kept):
    assert refusal(address, None).startswith(f"backbone.weights={address} needs backbone.sha256=, the 64 ")
    assert server.asked == []
    assert names_in(kept) == []


def test_a_cached_file_that_was_changed_is_refused(server, address, sha256, kept):
    simple_cnn(weights=address, sha256=sha256)
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    message = refusal(address, sha256)
    assert re.search(rf"has the checksum [0-9a-f]{{64}}, not backbone\.sha256={sha256}; delete it$", message)
    assert str(file) in message
    file.unlink()
    simple_cnn(weights=address, sha256=sha256)
    assert len(server.asked) == 2


def test_a_file_that_is_not_there(server, sha256, kept):
    message = refusal(f"{server.address}/b.pth", sha256)
    assert "/b.pth could not be fetched (HTTP Error 404: Not Found)" in message
    assert names_in(kept) == []


def test_a_server_that_is_not_there(dead_address, sha256, kept):
    message = refusal(f"{dead_address}/b.pth", sha256)
    assert "could not be fetched (<urlopen error [Errno 111] Connection refused>)" in message
    assert names_in(kept) == []


@pytest.mark.parametrize("address", ["http://", "https:///a.pth", "http://[x/a.pth", "http://a b/c.pth"])
def test_what_is_no_address(address, sha256, kept):
    assert "could not be fetched" in refusal(address, sha256)
    assert names_in(kept) == []


def test_what_breaks_off_is_refused_and_leaves_nothing(server, address, content, sha256, kept):
    server.files["/nets/a.pth"] = content[:-100]
    refusal(address, sha256)
    assert names_in(kept) == []


def test_a_folder_that_cannot_be_made(address, sha256, kept):
    kept.parent.write_bytes(b"")
    assert "could not be fetched (" in refusal(address, sha256)


def test_what_was_fetched_is_read_as_any_file(server, kept):
    content = b"<html>sign in</html>"
    server.files["/a.pth"] = content
    message = refusal(f"{server.address}/a.pth", hashlib.sha256(content).hexdigest())
    assert message.endswith("the file is damaged or no weights file (UnpicklingError)")


@pytest.mark.parametrize("kind", ["file", "bundle", "run folder"])
def test_the_sum_of_a_local_file_is_checked(kind, tmp_path, content, sha256, trained, same):
    given = file = tmp_path / "a.pth"
    if kind != "file":
        given = tmp_path / "given"
        file = (given / "model" if kind == "run folder" else given) / "model.safetensors"
        file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert same(simple_cnn(weights=str(given), sha256=sha256), trained[0])
    file.write_bytes(save({key: value + 1 for key, value in trained[0].state_dict().items()}))
    message = refusal(str(given), sha256)
    assert message.startswith(f"backbone.weights={given} has the checksum ")
    assert message.endswith(f", not backbone.sha256={sha256}")


def test_the_sum_is_of_the_file_whatever_is_taken_from_it(tmp_path, trained, same):
    file = tmp_path / "a.pth"
    torch.save({"net": trained[0].state_dict()}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert same(simple_cnn(weights=f"{file}:net", sha256=digest), trained[0])
    assert "has the checksum" in refusal(f"{file}:net", "0" * 64)


def test_a_local_file_that_is_not_there(tmp_path, sha256):
    assert refusal(str(tmp_path / "a.pth"), sha256).endswith("there is no such file")
