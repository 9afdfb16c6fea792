import datetime as dt

import pytest

from bhds import reader
from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import TradeType
from bhds.reader import origin

NOON = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("time", ["2025-03-01T12:00", "2025-03-01T13:00+01:00", NOON])
def test_a_bar_is_explained_at_a_moment_in_any_form(data, monkeypatch, time):
    asked = []
    monkeypatch.setattr(
        origin, "explanation_of", lambda folder, **which: asked.append((folder, which))
    )
    reader.explain("um_futures", "AUSDT", time, data_dir=data.folder)
    which = {"trade_type": TradeType.UM_FUTURES, "interval": "1m", "symbol": "AUSDT"}
    assert asked == [(data.folder, which | {"time": NOON})]


def test_what_cannot_be_explained_is_refused(data):
    with pytest.raises(SelectionError, match="AUSDT"):
        reader.explain("um_futures", "AUSD", NOON, data_dir=data.folder)
    with pytest.raises(ConfigError, match="time None: expected a moment"):
        reader.explain("um_futures", "AUSDT", None, data_dir=data.folder)
