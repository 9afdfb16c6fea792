from itertools import pairwise

OPTION = "data/option/daily/"
BVOL = f"{OPTION}BVOLIndex/BTCBVOLUSDT/BTCBVOLUSDT-BVOLIndex-2025-03-04.zip"
EOH = f"{OPTION}EOHSummary/BTCUSDT/BTCUSDT-EOHSummary-2023-10-23.zip"


def test_a_volatility_index_has_a_value_every_second(archive):
    rows = archive.lines(BVOL)

    times = [int(row[0]) for row in rows]
    assert archive.text(BVOL).startswith(
        "calc_time,symbol,base_asset,quote_asset,index_value\n"
    )
    assert len(rows) == 12 * 3_600
    assert {b - a for a, b in pairwise(times)} == {1_000}
    assert {tuple(row[1:4]) for row in rows} == {("BTCBVOLUSDT", "BTCBVOL", "USDT")}
    assert all(30 < float(row[4]) < 170 for row in rows)


def test_options_are_summed_up_every_hour(archive):
    header, *rows = (line.split(",") for line in archive.text(EOH).splitlines())

    assert len(header) == 26
    assert {len(row) for row in rows} == {26}
    assert sorted({int(row[1]) for row in rows}) == list(range(12, 24))
    names = {row[2] for row in rows if row[1] == "12"}
    assert len(names) == 10
    assert "BTC-231110-30000-C" in names
    for row in rows:
        date, _, name, underlying, kind, strike = row[:6]
        assert (date, underlying) == ("2023-10-23", "BTCUSDT")
        assert name == f"BTC-{strike}-{kind}"
        # What was not traded has no prices.
        assert ('""' in row) == (row[10] == "0.00")
        assert float(row[18]) > 0


def test_each_of_both_types_has_its_own_names(archive):
    names = {tuple(key.split("/")[3:5]) for key in archive.zips(OPTION)}

    assert names == {("BVOLIndex", "BTCBVOLUSDT"), ("EOHSummary", "BTCUSDT")}


def test_summaries_ended_before_their_underlying(archive):
    *_, last = archive.zips(f"{OPTION}EOHSummary/")

    assert last == EOH
