"""How downloads of the sandbox go wrong, on request: 200, but not the file's bytes."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from aiohttp import web
from yarl import URL

from bhds.core.errors import ConfigError

_PAGE = "<!DOCTYPE html><html><body>Please accept our terms to go on.</body></html>"
_PADDING = bytes(100)


class Spoiling(StrEnum):
    """What comes in place of a file."""

    PAGE = "page"
    """A page of HTML, as of a portal: the same for all files."""
    FLIP = "flip"
    """The file with one bit turned."""
    PAD = "pad"
    """The file and zeros behind it."""
    REDIRECT = "redirect"
    """A redirect to the same address on `localhost`, which is another host."""
    LENGTH = "length"
    """The file under twice its `Content-Length`, until the connection ends."""


@dataclass
class _Order:
    manner: Spoiling
    times: int | None
    key: str | None


class Transfers:
    """The faults that the next downloads have; safe for several threads."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self._met: Counter[tuple[int, str]] = Counter()
        self._lock = Lock()

    def spoil(
        self, manner: Spoiling, *, times: int | None = None, key: str | None = None
    ) -> None:
        """Spoil the next downloads.

        Parameters
        ----------
        manner
            In which way.
        times
            How many downloads of each file, 1 or more; None: all, until `clear`.
        key
            The only file that it happens to; None: to all.

        Raises
        ------
        ConfigError
            If `times` is less than 1.
        """
        if times is not None and times < 1:
            msg = f"times {times}: expected 1 or more, or None for all"
            raise ConfigError(msg)
        with self._lock:
            self._orders.append(_Order(Spoiling(manner), times, key))

    def clear(self) -> None:
        """Forget the faults that are still to come."""
        with self._lock:
            self._orders.clear()
            self._met.clear()

    def take(self, key: str) -> Spoiling | None:
        """Return what happens to a download of `key`, and count it as met."""
        with self._lock:
            for number, order in enumerate(self._orders):
                is_left = order.times is None or self._met[number, key] < order.times
                if order.key in (None, key) and is_left:
                    self._met[number, key] += 1
                    return order.manner
        return None


def spoiled(manner: Spoiling, content: bytes) -> bytes:
    """Return what comes of a file where it is flipped or padded."""
    if manner is Spoiling.PAD:
        return content + _PADDING
    if manner is Spoiling.FLIP and content:
        middle = len(content) // 2
        turned = bytes([content[middle] ^ 1])
        return content[:middle] + turned + content[middle + 1 :]
    return content


async def answer(
    manner: Spoiling, request: web.Request, content: bytes
) -> web.StreamResponse | None:
    """Answer in place of a file; None where one of other bytes comes as usual."""
    if manner is Spoiling.PAGE:
        return web.Response(text=_PAGE, content_type="text/html")
    if manner is Spoiling.REDIRECT:
        elsewhere = URL(str(request.url)).with_host("localhost")
        return web.Response(status=302, headers={"Location": str(elsewhere)})
    if manner is not Spoiling.LENGTH:
        return None
    begun = web.StreamResponse(headers={"Accept-Ranges": "bytes"})
    begun.content_length = 2 * len(content)
    await begun.prepare(request)
    await begun.write(content)
    if request.transport is not None:
        request.transport.close()
    return begun
