"""The real lists of symbols."""

import json
import re
import zipfile
from pathlib import Path

import pytest

REALDATA = Path(__file__).resolve().parents[4] / "shared" / "realdata"


class RealLists:
    """Symbols that the exchange listed, by the list's path in the real data."""

    def entries(self, path):
        """Read the entries of a recorded exchangeInfo by symbol."""
        listed = json.loads((REALDATA / path).read_text())["symbols"]
        return {entry["symbol"]: entry for entry in listed}

    def bucket_symbols(self):
        """Read the um symbols of the bucket: perpetual ones, and deliveries."""
        path = REALDATA / "symbols" / "um-daily-klines-symbols-2026-10-05.json"
        lists = json.loads(path.read_text())
        return lists["perpetual_symbols"], lists["delivery_symbols"]

    def key_list(self, name):
        """Read the symbols of a list of bucket keys."""
        with zipfile.ZipFile(REALDATA / "listings" / "keys" / f"{name}.zip") as archive:
            text = archive.read(archive.namelist()[0]).decode()
        return set(re.findall(r"/(?:klines|aggTrades)/([^/]+)/", text))


@pytest.fixture(scope="session")
def real_lists():
    if not REALDATA.is_dir():
        pytest.skip("../shared/realdata is absent")
    return RealLists()
