"""Ask the server whether it has files, without fetching them."""

import asyncio
import logging
from collections.abc import Sequence

import aiohttp
from yarl import URL

logger = logging.getLogger(__name__)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5


def ask(
    urls: Sequence[str], *, proxy: str | None, timeout_s: int, connections: int
) -> list[int]:
    """Return the HTTP status of each URL, redirects within its host followed.

    Parameters
    ----------
    urls
        Percent-encoded; n >= 0.
    proxy
        `[http://][user:password@]host[:port]`; None: no proxy.
    timeout_s
        Seconds to wait for a connection, and for the next bytes.
    connections
        Most connections open at once, at least 1.

    Returns
    -------
    list of int
        n statuses; none if the server cannot be reached.
    """
    timeout = aiohttp.ClientTimeout(sock_connect=timeout_s, sock_read=timeout_s)
    if proxy is not None and "://" not in proxy:
        proxy = f"http://{proxy}"  # aria2 lets one leave it out

    async def ask_all() -> list[int]:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections), timeout=timeout
        ) as session:
            return await asyncio.gather(*(_status(session, url, proxy) for url in urls))

    try:
        return asyncio.run(ask_all())
    except (aiohttp.ClientError, TimeoutError) as error:
        logger.warning("%s: cannot be asked (%r)", urls[0], error)
        return []


async def _status(session: aiohttp.ClientSession, url: str, proxy: str | None) -> int:
    """Return the status of a URL; that of a redirect that leaves the host."""
    target = URL(url, encoded=True)
    for _ in range(_MOST_REDIRECTS):
        async with session.head(target, proxy=proxy, allow_redirects=False) as answer:
            location = answer.headers.get("Location")
        if answer.status not in _REDIRECTS or location is None:
            break
        following = target.join(URL(location, encoded=True))
        if following.host != target.host:
            break
        target = following
    return answer.status
