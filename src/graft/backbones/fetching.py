"""Files from elsewhere, each fetched once: by address with a checksum, or from the Hugging Face Hub."""

import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

import torch

from graft.backbones.at_hand import torch_cache
from graft.errors import GraftError, first_line
from graft.runs.files import digest_of

# Seconds that the hub may take to answer at all.
PATIENCE = 5


def fetched(address: str, sha256: str | None) -> Path:
    """The file at an address, from torch's cache or from the network into it.

    Args:
        address: `https://…`.
        sha256: 64 hexadecimal digits. The cached file is checked too, each time.

    Raises:
        GraftError: there is no checksum, or the file has another, or it cannot be fetched.
    """
    key = f"backbone.weights={address}"
    if sha256 is None:
        raise GraftError(f"{key} needs backbone.sha256=, the 64 hexadecimal digits of the file's checksum")
    folder = torch_cache()
    # By its sum too: at other addresses, other files have the same name.
    file = folder / f"{sha256[:16]}-{address.partition('?')[0].rpartition('/')[2]}"
    if not file.is_file():
        try:
            # What is no address is refused before torch opens a file for it, which it would leave behind.
            urllib.request.Request(address)
            folder.mkdir(parents=True, exist_ok=True)
            # Written beside it and moved, once the sum is known to be right.
            torch.hub.download_url_to_file(address, str(file), hash_prefix=sha256)
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise GraftError(f"{key} could not be fetched ({first_line(error)})") from error
        except RuntimeError as error:
            raise GraftError(f"{key} has another checksum than backbone.sha256={sha256}") from error
    if (there := digest_of(file)) != sha256:
        raise GraftError(f"{file} has the checksum {there}, not backbone.sha256={sha256}; delete it")
    return file


# What helps where weights of timm's cannot be had.
TIMM_WAYS = "backbone.weights=<file> takes a copy, backbone.weights=null starts untrained"


def hub_file(repository: str, name: str, revision: str | None, key: str, ways: str = TIMM_WAYS) -> Path:
    """A file of a repository of the Hugging Face Hub, from the hub's own cache or from the network into it.

    Args:
        repository: `owner/name`.
        name: of the file.
        revision: a commit; None: what is cached, or else the newest.
        key: the key and its value, for messages.
        ways: what helps where the hub cannot be asked.

    Raises:
        FileNotFoundError: the repository is there, and has no such file.
        GraftError: it is not cached, and the hub cannot be asked; or it has no such repository.
    """
    from huggingface_hub import constants, hf_hub_download, is_offline_mode, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if isinstance(cached := try_to_load_from_cache(repository, name, revision=revision), str):
        return Path(cached)
    # The cache knows that a commit has no such file; a branch may have it by now.
    if cached is not None and revision is not None:
        raise FileNotFoundError(name)
    if is_offline_mode():
        raise GraftError(f"{key}: {repository} is not in the hub's cache, and HF_HUB_OFFLINE is set")
    # The library itself would try for half a minute.
    if why := out_of_reach(constants.ENDPOINT):
        raise GraftError(f"{key}: {repository} is not in the hub's cache, and {why}; {ways}")
    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except EntryNotFoundError as error:
        # The library says so too where the hub gives no right answer.
        if not isinstance(error, LocalEntryNotFoundError):
            raise FileNotFoundError(name) from error
        why = first_line(error.__cause__ or error)
        raise GraftError(f"{key}: {repository} cannot be had ({why})") from error
    # Of a broken connection, each version of the library has errors of its own.
    except Exception as error:
        raise GraftError(f"{key}: {repository} cannot be had ({first_line(error)})") from error


def out_of_reach(endpoint: str) -> str | None:
    """Why nothing answers at an address; None where something does, whatever it says."""
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        said = first_line(reason) if isinstance(reason, Exception) else reason
        return f"{endpoint} does not answer ({said})"
    return None
