"""The sandbox exchange: a deterministic stand-in for Binance on loopback.

It serves the bucket (listing, zips, checksums) and the REST endpoints that BHDS
uses. All data are a pure function of the universe, its seed and the time.

Modules, from the bottom up: `timegrid` (periods and bar grids), `universe` (the
symbols), `draws` (counter-based random numbers), `pricepath`, `bars` (of any series),
`tape` (trades), `references` (mark price, index, premium), `prices` (bars),
`funding`, `formats` (bytes of the files), `datasets` (what the archive publishes, one
module a kind of data), `spoiling` (rows, CSVs and zips made wrong), `defects` (what
is wrong with files, on request), `publication` (the clock and what is withheld,
replaced or spoiled), `filecache` (built files on disk), `objects` (the interface of
an object store), `bucket` (the synthetic one), `realfiles` (one of real files),
`keylist` (one of real keys), `listing` (the S3 protocol), `limits`, `faults` (answers
that fail, on request), `catalogue`, `pages` and `rest` (the API), `exchange` (all of
it as one object), `scenarios` (known defects by their numbers), `admin`, `endpoints`,
`server` and `command`.
"""
