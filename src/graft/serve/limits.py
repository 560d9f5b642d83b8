"""What a server takes, and how it says that it does not. Imports no torch."""

from dataclasses import dataclass

from graft.errors import GraftError


@dataclass(frozen=True)
class Limits:
    """What a server takes; `conf/serve.yaml` has the defaults.

    Attributes:
        files: in one request.
        file_bytes: of one file.
        bytes: of one request.
        pixels: of one image, or values of a sound, unpacked.
        seconds: that a request may take, first to be read and then to be answered.
        queue: files that wait for an answer at a time, of all clients together.

    Raises:
        GraftError: two of them contradict each other.
    """

    files: int
    file_bytes: int
    bytes: int
    pixels: int
    seconds: float
    queue: int

    def __post_init__(self) -> None:
        if self.files > self.queue:
            raise GraftError(
                f"limits.files={self.files} never find room in limits.queue={self.queue}; give a longer queue"
            )
        if self.file_bytes > self.bytes:
            raise GraftError(
                f"limits.file_bytes={self.file_bytes} do not fit a request of limits.bytes={self.bytes}"
            )

    @property
    def held(self) -> int:
        """Bytes of requests that are in memory at a time, of all clients together."""
        return 4 * self.bytes


class Refused(Exception):
    """A request that is not answered: its HTTP status, and one line for the person who sent it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def spelled_bytes(count: int) -> str:
    """A number of bytes as people say it, such as `20 MB`; what is no whole number of them, with a digit."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{round(count / size, 1):g} {unit}"
    return f"{count} bytes"
