"""Fills: what the archive lacks, asked from the REST API.

`holes` and `events` say what is missing, `answers` keeps what was answered, `job` asks
for the rest and writes the fill of one partition.
"""
