"""Ask the server whether it has files, without fetching them."""

import asyncio
import logging
from collections.abc import Sequence

import aiohttp
from yarl import URL

logger = logging.getLogger(__name__)


def ask(
    urls: Sequence[str], *, proxy: str | None, timeout_s: int, connections: int
) -> list[int]:
    """Return the HTTP status of each URL, redirects followed.

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
    return asyncio.run(
        _ask(urls, proxy=proxy, timeout_s=timeout_s, connections=connections)
    )


async def _ask(
    urls: Sequence[str], *, proxy: str | None, timeout_s: int, connections: int
) -> list[int]:
    timeout = aiohttp.ClientTimeout(sock_connect=timeout_s, sock_read=timeout_s)
    connector = aiohttp.TCPConnector(limit=connections)

    async def status(url: str) -> int:
        target = URL(url, encoded=True)
        async with session.head(
            target, proxy=_url(proxy), allow_redirects=True
        ) as answer:
            return answer.status

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        try:
            return await asyncio.gather(*map(status, urls))
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("%s: cannot be asked (%r)", urls[0], error)
            return []


def _url(proxy: str | None) -> str | None:
    """Give a proxy the scheme that aria2 lets one leave out."""
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
