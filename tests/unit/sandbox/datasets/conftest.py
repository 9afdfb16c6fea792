"""An archive of symbols that live for a day, about midnights when formats change."""

import csv
import datetime as dt
import io
import re
import zipfile
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.universe import Universe

from ..conftest import described as described_symbol

NOW = dt.datetime(2026, 7, 20, 12, tzinfo=dt.UTC)


def described(market, name, day, **changes):
    """Describe a symbol that lives for 24 hours from noon of `day` on."""
    noon = dt.datetime.fromisoformat(f"{day}T12:00:00Z")
    given = {
        "listed": noon,
        "delisted": noon + dt.timedelta(days=1),
        "tick": "0.05",
        "trades_per_minute": 3,
        "quiet_share": 0.3,
    }
    return described_symbol(market, name, **(given | changes))


TRADED = {"trades_published": True}
DELIVERY = {"contract_type": "CURRENT_QUARTER"}
MINUTES = {"listed": "2025-01-05T23:51:00Z", "delisted": "2025-01-06T00:08:00Z"}
HALT = {"start": "2024-12-31T20:00:00Z", "end": "2024-12-31T22:10:00Z"}
SYMBOLS = [
    # ms and then µs, and a halt
    described("spot", "AAAUSDT", "2024-12-31", **TRADED, halts=[HALT]),
    # seconds, for minutes
    described("spot", "SECUSDT", "2025-01-05", seconds=True, **TRADED, **MINUTES),
    # without a header and then with one
    described("um_futures", "OLDUSDT", "2022-05-31", **TRADED),
    described("cm_futures", "OLDUSD_PERP", "2022-05-31", **TRADED),
    # the ends of feeds
    described("um_futures", "ENDUSDT", "2024-03-30"),
    described("cm_futures", "ENDUSD_PERP", "2024-10-14"),
    # the ways of filing and of labelling metrics
    described("um_futures", "FILUSDT", "2024-02-29"),
    described("um_futures", "LABUSDT", "2026-06-24"),
    described("cm_futures", "LABUSD_PERP", "2026-06-24"),
    # the ways of writing percentages
    described("um_futures", "PCTUSDT", "2025-12-31"),
    described("cm_futures", "PCTUSD_PERP", "2025-12-31"),
    # deliveries
    described("um_futures", "LABUSDT_260626", "2026-06-24", **DELIVERY),
    described("cm_futures", "LABUSD_260626", "2026-06-24", **DELIVERY),
    # options
    described(
        "option",
        "BTCBVOLUSDT",
        "2025-03-03",
        base_asset="BTCBVOL",
        contract_type="VOLATILITY_INDEX",
    ),
    described(
        "option", "BTCUSDT", "2023-10-23", contract_type="UNDERLYING", price="30000"
    ),
]


class Archive:
    """The files of an exchange, read with the standard library alone."""

    def __init__(self, exchange):
        self.exchange = exchange
        self._text = cache(self._new_text)

    def zips(self, prefix):
        """Return the keys of the zips below `prefix`, in order."""
        keys = self.exchange.store.keys(prefix)
        return [key for key in keys if key.endswith(".zip")]

    def text(self, key):
        (announced,) = self.exchange.store.describe([key])
        return self._text(key, announced.etag)

    def _new_text(self, key, _etag):
        with zipfile.ZipFile(io.BytesIO(self.exchange.store.read(key)[1])) as archive:
            return archive.read(archive.namelist()[0]).decode()

    def lines(self, key):
        """Return the rows of a file as lists of text, without its header."""
        rows = list(csv.reader(io.StringIO(self.text(key))))
        return rows[1:] if rows[0][0][0].isalpha() else rows

    def bars(self, folder, interval, label):
        """Return bars by their open time (ms), as lists of Decimals."""
        name = folder.rstrip("/").rpartition("/")[2]
        key = f"{folder}{interval}/{name}-{interval}-{label}.zip"
        rows = [list(map(Decimal, row)) for row in self.lines(key)]
        return {int(row[0]) // (1_000 if row[0] > 10**14 else 1): row for row in rows}


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    universe = Universe.model_validate({"seed": 7, "symbols": SYMBOLS})
    folder = tmp_path_factory.mktemp("cache")
    with Exchange(universe, now=NOW, cache_dir=folder) as exchange:
        yield Archive(exchange)


@pytest.fixture
def genuine_shapes():
    """Return a function that tells in which shapes the lines of a file come.

    A shape is a line in which every whole part is 9, and every decimal too.
    """

    def shapes(source):
        if isinstance(source, Path):
            with zipfile.ZipFile(source) as archive:
                source = archive.read(archive.namelist()[0]).decode()
        lines = source.replace("true", "flag").replace("false", "flag").splitlines()
        return {
            re.sub(r"\d", "9", re.sub(r"\b\d+(?=[.,]|$)", "9", line)) for line in lines
        }

    return shapes
