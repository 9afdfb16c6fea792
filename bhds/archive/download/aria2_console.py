"""Read from aria2c's exit code and messages which files failed, and why."""

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

CANNOT_RESUME = 8
"""aria2's code for a server that does not continue a file in part."""

NO_SPACE = 9
"""aria2's code for a full disk."""

REDIRECTED = -1000
"""No code of aria2: the server redirected to another host, which was not followed."""

_MEANINGS = {
    1: "an unknown error, such as a refused connection",
    2: "the server did not answer in time",
    3: "the server does not have the file",
    4: "the server does not have the file",
    5: "the download was too slow",
    6: "the network failed",
    7: "the download was interrupted",
    CANNOT_RESUME: "the server cannot resume a download",
    NO_SPACE: "there is no space left on the disk",
    13: "the file exists already",
    14: "the file could not be renamed",
    15: "an existing file could not be opened",
    16: "the file could not be created",
    17: "reading or writing the file failed",
    18: "a folder could not be created",
    19: "the host's name could not be resolved",
    22: "the server's answer was bad or unexpected",
    23: "the server redirected too often",
    24: "the server or the proxy wants credentials",
    28: "an option was refused",
    29: "the server is overloaded for the moment",
}
"""aria2c's exit codes (aria2c(1), EXIT STATUS) that plain downloads can meet."""

_ABORTED = re.compile(r"\[ERROR\] CUID#\d+ - Download aborted\. URI=(\S+)")
_LAST_URL = re.compile(r"errorCode=\d+ URI=(\S+)")
_NO_TUNNEL = "Proxy connection failed."
_REASON = re.compile(r"errorCode=(\d+) (?!URI=)(?:CUID#\d+ - )?(.+)")


@dataclass(frozen=True)
class Failure:
    """Why aria2c gave up on a file."""

    code: int
    """aria2c's exit code, or `REDIRECTED`; negative for the signal that ended it."""
    text: str
    """In aria2c's words where it has some."""


@dataclass(frozen=True)
class Outcome:
    """How a run of aria2c ended."""

    exit_code: int
    """0 if all files were fetched; negative for the signal that ended aria2c."""
    failures: Mapping[str, Failure]
    """By URL. A file may have failed without being named here."""

    @property
    def failure(self) -> Failure:
        """The failure to name when a file has none of its own."""
        meaning = _MEANINGS.get(self.exit_code, "ended for an unknown reason")
        if self.exit_code < 0:
            meaning = f"was ended by {signal.Signals(-self.exit_code).name}"
        return Failure(self.exit_code, meaning)


def parse_failures(console: str, *, refused: Sequence[str] = ()) -> dict[str, Failure]:
    """Read from aria2c's error messages which URLs failed, and why.

    A message names the URL in its first line, in the next the one that it was
    redirected to, and the reason, after any number of wrapped exceptions, in its last.
    `refused` are the hosts that were redirected to and not followed.
    """
    failures: dict[str, Failure] = {}
    url, last_url = None, ""
    for line in console.splitlines():
        aborted = _ABORTED.search(line)
        if aborted is not None:
            url = last_url = aborted[1]
            continue
        redirected = _LAST_URL.search(line)
        last_url = redirected[1] if redirected else last_url
        reason = _REASON.search(line)
        if url is not None and reason is not None:
            failures[url] = Failure(int(reason[1]), reason[2].strip())
            is_without_tunnel = bool(refused) and reason[2].strip() == _NO_TUNNEL
            if is_without_tunnel or host_of(last_url) in refused:
                other = refused[0] if is_without_tunnel else host_of(last_url)
                text = (
                    f"{host_of(url)} redirects to {other}, which is not one of the "
                    "hosts of `endpoints`: not followed"
                )
                failures[url] = Failure(REDIRECTED, text)
    return failures


def host_of(url: str) -> str:
    """Return the host of a URL; the empty string if it has none."""
    return urlsplit(url).hostname or ""
