"""Results: parsed klines made into regular, filled and resampled series.

Every module takes frames and values and returns frames; none reads or writes files.
"""
