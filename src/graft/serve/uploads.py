"""Files out of a multipart request, in memory alone: nothing is spooled to a disk. Imports no torch."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import anyio
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from graft.serve.limits import Limits, Refused, spelled_bytes

# The field that files come in.
FIELD = "files"
# Parts of a request beside its files, and bytes of one of these.
OTHER_PARTS, OTHER_BYTES = 8, 65536


class Upload(NamedTuple):
    """One file: what its sender calls it, which is only ever shown, and its bytes."""

    name: str
    content: bytes


class Held:
    """How many bytes of all requests are in memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    @contextmanager
    def room(self) -> Iterator["Room"]:
        """What one request holds, until the block ends."""
        room = Room(self)
        try:
            yield room
        finally:
            self._now -= room.taken

    def take(self, count: int) -> None:
        """So many bytes more.

        Raises:
            Refused: there is no room for them.
        """
        if self._now + count > self._most:
            raise Refused(503, f"{spelled_bytes(self._most)} of other requests are being read; try again")
        self._now += count


class Room:
    """What one request holds."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self.taken = 0

    def take(self, count: int) -> None:
        """As `Held.take`."""
        self._held.take(count)
        self.taken += count


class _Parser(MultiPartParser):
    """Starlette's, which keeps a file in memory whatever its size, and refuses what is too much."""

    # 0: a `SpooledTemporaryFile` never goes to a disk.
    spool_max_size = 0

    def __init__(self, request: Request, stream: AsyncIterator[bytes], limits: Limits) -> None:
        # Its own limits cannot tell a file from a request; those below come first.
        super().__init__(
            request.headers,
            stream,  # type: ignore[arg-type]
            max_files=limits.files,
            max_fields=limits.files + OTHER_PARTS,
            max_part_size=limits.file_bytes,
        )
        self.limits = limits
        self.parts = 0
        self.of_part = 0
        self.most = 0

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self.parts += 1
        if self.parts > self.limits.files + OTHER_PARTS:
            raise Refused(413, _too_many(self.limits))
        self.of_part = 0

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        part = self._current_part
        self.most = self.limits.file_bytes if part.field_name == FIELD else OTHER_BYTES

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.of_part += end - start
        if self.of_part > self.most:
            part = self._current_part
            name = part.file.filename if part.file and part.file.filename else part.field_name
            raise Refused(413, f"{name}: a file may have {spelled_bytes(self.most)}, and this has more")
        super().on_part_data(data, start, end)


async def read_uploads(request: Request, limits: Limits, room: Room) -> list[Upload]:
    """The files of a request, in their order; a text field of that name counts as a file without a name.

    Raises:
        Refused: it is no multipart request, is damaged, has no file, or more than the limits let in.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refused(415, f"send multipart/form-data with a field {FIELD}, once for each file")
    parser = _Parser(request, _counted(request, limits, room), limits)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        # The only ones of its limits that can be met first.
        if error.message.startswith("Too many"):
            raise Refused(413, _too_many(limits)) from error
        raise Refused(400, f"the request cannot be read as multipart/form-data ({error.message})") from error
    except ClientDisconnect as error:
        raise Refused(400, "the request ended before it was whole") from error
    except UnicodeError as error:
        # A request may name any of Python's codecs.
        raise Refused(400, "the request cannot be read in the charset that it names") from error
    try:
        uploads = [await _upload(given, place) for place, given in enumerate(form.getlist(FIELD), start=1)]
    finally:
        await form.close()
    if not uploads:
        raise Refused(422, f"there is no file; send each in a field {FIELD}")
    if len(uploads) > limits.files:
        raise Refused(413, _too_many(limits))
    return uploads


async def drained(request: Request, limits: Limits) -> None:
    """Throw away what is still to come of a request, up to what one may have and as long as it may take.

    A client that is answered while it sends may find the connection reset, and not the answer.
    """
    left = 2 * limits.bytes
    # A RuntimeError where the whole of it was read before.
    with anyio.move_on_after(limits.seconds), suppress(RuntimeError, ClientDisconnect):
        async for chunk in request.stream():
            if (left := left - len(chunk)) < 0:
                return


async def _upload(given: UploadFile | str, place: int) -> Upload:
    if isinstance(given, str):
        return Upload(f"{place}", given.encode("utf-8", "surrogatepass"))
    return Upload(given.filename or f"{place}", await given.read())


async def _counted(request: Request, limits: Limits, room: Room) -> AsyncIterator[bytes]:
    """The body, whose real length counts, whatever its header says."""
    async for chunk in request.stream():
        room.take(len(chunk))
        if room.taken > limits.bytes:
            raise Refused(413, f"a request may have {spelled_bytes(limits.bytes)}, and this has more")
        yield chunk


def _too_many(limits: Limits) -> str:
    return f"a request may have {limits.files:,} files, and this has more"
