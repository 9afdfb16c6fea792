"""Check whether the server has files, without fetching them."""

import asyncio
import logging
from collections.abc import Sequence

import aiohttp
from yarl import URL

from bhds.core.errors import cut

logger = logging.getLogger(__name__)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_WHOLE_ANSWER_TIMEOUTS = 4  # an answer that trickles may take this many timeouts


def ask(
    urls: Sequence[str], *, proxy: str | None, timeout_s: int, connections: int
) -> list[int | None]:
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
    list of int or None
        n statuses; None where there was no answer.
    """
    timeout = aiohttp.ClientTimeout(sock_connect=timeout_s, sock_read=timeout_s)
    longest_s = _WHOLE_ANSWER_TIMEOUTS * timeout_s
    if proxy is not None and "://" not in proxy:
        proxy = f"http://{proxy}"  # aria2 lets one leave it out

    failures: dict[str, Exception] = {}
    answered = 0

    async def ask_all() -> list[int | None]:
        slots = asyncio.Semaphore(connections)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def ask_one(url: str) -> int | None:
                nonlocal answered
                async with slots:
                    if len(failures) >= connections and not answered:
                        return None  # the server is not there
                    try:
                        async with asyncio.timeout(longest_s):
                            status = await _status(session, url, proxy)
                    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                        failures[url] = error
                        return None
                    answered += 1
                    return status

            return await asyncio.gather(*map(ask_one, urls))

    statuses = asyncio.run(ask_all())
    if failures:
        url, error = next(iter(failures.items()))
        logger.warning(
            "%s and %d more: cannot be asked (%s)",
            *(url, len(failures) - 1, cut(f"{error}" or type(error).__name__)),
        )
    return statuses


async def _status(session: aiohttp.ClientSession, url: str, proxy: str | None) -> int:
    """Return the status of a URL; that of a redirect that leaves the host.

    Raises
    ------
    ValueError
        If it redirects to what is no address.
    """
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
