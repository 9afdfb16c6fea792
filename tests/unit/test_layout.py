"""Each kind of file: rendered from fields, read back, and as a pattern."""

import fnmatch
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhds import layout
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, TradeType
from bhds.schemas.datatypes import DATA_TYPES

KINDS = (
    *(layout.archive_folder, layout.archive_symbol_folder, layout.archive_table),
    *(layout.parsed_folder, layout.partition, layout.backfill_folder, layout.backfill),
    *(layout.phase, layout.exchange_info, layout.result_folder, layout.result),
    *(layout.symbol_table, layout.funding, layout.resampled_folder, layout.resampled),
    *(layout.segment_folder, layout.segment, layout.segments, layout.quality_table),
    *(layout.resampled_segment_folder, layout.resampled_segment),
)
NAMES = st.text("AZ09_币.-", min_size=1, max_size=9)
OF_FIELDS = {
    "trade_type": st.sampled_from(TradeType),
    "frequency": st.sampled_from(Frequency),
    "data_type": st.sampled_from(tuple(DATA_TYPES)),
    "interval": st.sampled_from(ARCHIVE_INTERVALS),
    "partition": st.sampled_from(("2024", "2024-02")),
    "kind": st.sampled_from(layout.SYMBOL_TABLES),
    "series": st.sampled_from(("1m", "3d", "metrics", "klines-1mo")),
}


@pytest.mark.parametrize("render", KINDS, ids=lambda render: render.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_path_has_the_fields_that_it_was_rendered_from(render, data):
    names = re.findall("{([a-z_]+)}", layout.wildcards(render))
    fields = {name: data.draw(OF_FIELDS.get(name, NAMES)) for name in names}

    path = render(**fields)

    assert layout.fields_of(render, path) == fields
    assert layout.wildcards(render).format(**fields) == path
    assert fnmatch.fnmatchcase(path, layout.glob_of(render))
    assert layout.fields_of(render, f"{path}/more") is None


def test_a_pattern_takes_known_fields_as_they_are():
    assert layout.wildcards(layout.result, interval="1m", trade_type="spot") == (
        "results_data/spot/klines/1m/{symbol}.pqt"
    )
    assert layout.placeholders(layout.partition, interval=None, data_type="trades") == (
        "parsed_data/<trade_type>/trades/<symbol>/<partition>.parquet"
    )
    assert layout.glob_of(layout.resampled, symbol="A*B") == (
        "results_data/*/resampled_klines/*/A[*]B.pqt"
    )
    assert re.fullmatch(
        layout.regex(layout.parsed_folder, data_type="trades|metrics", interval=None),
        "parsed_data/spot/trades/BTCUSDT",
    )


def test_files_next_to_a_table_are_named_after_it():
    backfill = layout.backfill("spot", "klines", "A.B", "1m")

    assert layout.sources_of(backfill) == (
        "api_data/spot/klines/A.B/1m/all.sources.json"
    )
    assert layout.responses_of(backfill) == (
        "api_data/spot/klines/A.B/1m/all.answers.jsonl"
    )
    assert layout.responses_of(layout.phase("spot", "A.B")) == (
        "api_data/spot/klines/A.B/phase.answers.jsonl"
    )
    assert layout.parts_of(layout.LEDGER) == "aws_data/ledger.d"
