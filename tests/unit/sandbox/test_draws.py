import polars as pl

from bhds.sandbox.draws import bit_field, draw, stream_key


def test_draw_is_splitmix64():
    # The first outputs of the reference implementation, seeded with 0, are those of
    # the counters 1, 2 and 3.
    drawn = draw(pl.Series([1, 2, 3]), 0)

    assert drawn.dtype == pl.UInt64
    assert drawn.to_list() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_streams_differ_by_every_part_of_their_name():
    keys = {
        stream_key(1, "spot", "BTCUSDT"),
        stream_key(1, "spotB", "TCUSDT"),
        stream_key(2, "spot", "BTCUSDT"),
    }

    assert len(keys) == 3


def test_bit_field_takes_the_bits_asked_for():
    drawn = pl.Series([0b1011_0100], dtype=pl.UInt64)

    assert bit_field(drawn, offset=2, width=4).to_list() == [0b1101]
