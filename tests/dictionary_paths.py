"""Which tables of the data dictionary a path is of."""

import re

from bhds.schemas.dictionary import TABLES


def _pattern(path):
    pattern = re.escape(path).replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile(re.sub("<[^>]+>", "[^/]+", pattern))


_PATTERNS = [(table, [_pattern(path) for path in table.paths]) for table in TABLES]


def tables_at(path):
    """Return the tables that a file below the data directory may be, by their paths."""
    return [
        table
        for table, patterns in _PATTERNS
        if any(pattern.fullmatch(path) for pattern in patterns)
    ]
