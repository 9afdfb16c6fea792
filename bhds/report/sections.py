"""Sections of the page, in their order, with their text, tables and figures."""

import polars as pl
from rich.filesize import decimal

from bhds.report import (
    backfill,
    bar_sources,
    conflicts,
    coverage,
    figures,
    gaps,
    integrity,
    reconciliation,
    revisions,
    summary,
)
from bhds.report.blocks import Section
from bhds.report.findings import FetchedFiles, Findings
from bhds.report.inputs import paths_of


def sections(found: Findings) -> list[Section]:
    """Lay out the findings, the most important first."""
    return [
        *(_days(found) if found.days.height else [_NOTHING]),
        _gaps(found),
        _pictures(found),
        _files(found),
        _conflicts(found),
        _reconciliation(found),
        _api(found),
        *([_sources(found)] if found.days.height else []),
    ]


_NOTHING = Section(
    name="summary",
    title="Summary",
    sentences=(
        "There are no quality tables: the settings name no dataset that is parsed.",
    ),
)


def _days(found: Findings) -> list[Section]:
    symbols = coverage.by_symbol(found.days)
    where = paths_of(found.tables, "condition")
    return [
        Section(
            name="summary",
            title="Summary",
            facts=summary.facts(found, symbols),
            blocks=(summary.table(found, symbols),),
        ),
        Section(
            name="coverage",
            title="Coverage",
            sentences=(
                "A day is available if all rows were published and are sound. It is "
                "degraded if some rows are missing or wrong, missing if the symbol was "
                "listed but no row was published, and pending while its file may still "
                "be published.",
            ),
            blocks=(
                coverage.heatmap(coverage.by_month(found.days)),
                coverage.by_reason(found.days),
                coverage.symbol_table(symbols, _gaps_of_symbols(found), where=where),
            ),
        ),
    ]


def _gaps_of_symbols(found: Findings) -> pl.DataFrame:
    if found.gaps.is_empty():
        key = found.days.select("market", "series", "symbol").schema
        return pl.DataFrame(schema={**key, "gaps": pl.UInt32, "lost": pl.Duration})
    return gaps.by_symbol(found.gaps)


def _gaps(found: Findings) -> Section:
    if found.gaps.is_empty():
        none = (
            "There are no gaps: every symbol traded in every bar."
            if _has(found, "gaps")
            else "Gaps are searched for in klines, and the settings name none."
        )
        return Section(name="gaps", title="Gaps", sentences=(none,))
    where = paths_of(found.tables, "gaps")
    return Section(
        name="gaps",
        title="Gaps",
        sentences=(
            "A gap is time without trades between two traded bars. Its class depends "
            "on its files, the API and the other symbols of the market.",
        ),
        blocks=(
            figures.gaps_by_month(gaps.by_month(found.gaps)),
            gaps.by_class(found.gaps),
            gaps.longest(found.gaps, where=where),
        ),
    )


def _pictures(found: Findings) -> Section:
    sentence = (
        "Price (the close, and the range from low to high) and volume of the symbols "
        "with most time in gaps. Gaps are marked in the colour of their class; short "
        "ones are widened to be visible. The line breaks where no bar was published."
    )
    none = "No symbol has gaps to show."
    return Section(
        name="pictures",
        title="Symbols with most gaps",
        sentences=(sentence if found.pictures else none,),
        blocks=[figures.price_and_volume(each) for each in found.pictures],
    )


def _files(found: Findings) -> Section:
    return Section(
        name="files",
        title="Integrity and revisions",
        sentences=(
            "Each zip is compared with its CHECKSUM when it is read. Rows of corrupt "
            "zips are omitted and requested from the API.",
            _downloads(found.fetched),
        ),
        blocks=(
            integrity.series_table(found.integrity.series),
            integrity.doubtful_table(found.integrity.doubtful),
            revisions.table(revisions.by_zip(found.revisions)),
        ),
    )


def _downloads(fetched: FetchedFiles) -> str:
    """Return a sentence on the downloaded files."""
    if not fetched.files:
        return "No file was downloaded."
    files = summary.counted(fetched.files, "file")
    replaced = f"{fetched.replaced:,}" if fetched.replaced else "none"
    return (
        f"{files} ({decimal(fetched.size_bytes)}; zips and CHECKSUMs) were downloaded "
        f"from the archive, {replaced} of them in more than one revision."
    )


def _conflicts(found: Findings) -> Section:
    if not _has(found, "conflicts"):
        none = "Conflicts are searched for in klines, and the settings name none."
        return Section(name="conflicts", title="Conflicts", sentences=(none,))
    where = paths_of(found.tables, "conflicts")
    return Section(
        name="conflicts",
        title="Conflicts",
        sentences=(
            "A conflict is a bar that was published twice with different values. A bar "
            "with trades takes precedence over one without; then daily zips over the "
            "API, and the API over monthly zips.",
        ),
        blocks=(conflicts.table(found.conflicts, where=where),),
    )


def _reconciliation(found: Findings) -> Section:
    sentences, blocks = [], []
    if _has(found, "reconciliation"):
        sentences.append(
            "Bars resampled from the results are compared with those that the exchange "
            "published. Prices and trade counts must be equal; sums may differ by "
            "rounding errors."
        )
        where = paths_of(found.tables, "reconciliation")
        blocks.append(reconciliation.by_column(found.reconciliation))
        blocks.append(reconciliation.differing(found.reconciliation, where=where))
    else:
        sentences.append(
            "The settings name no klines of a longer interval to compare the results "
            "with; add a dataset such as 1d klines of the same symbols."
        )
    if _has(found, "volume_checks"):
        checks = found.volume_checks
        sentences.append(
            f"On {checks['agrees'].sum():,} of {checks.height:,} checked days, the "
            "quantities of aggTrades add up to the volume of the bars."
        )
        where = paths_of(found.tables, "volume_checks")
        blocks.append(reconciliation.volumes(checks, where=where))
    return Section(
        name="reconciliation",
        title="Reconciliation",
        sentences=sentences,
        blocks=blocks,
    )


def _api(found: Findings) -> Section:
    rows = summary.rows_of_api(found)
    sentence = (
        f"The REST API supplies {summary.counted(rows, 'row')} missing in the archive."
        if rows
        else "No row comes from the REST API: it is switched off (`api.enabled`), or "
        "it has no rows that are missing in the archive."
    )
    return Section(
        name="api",
        title="Backfill",
        sentences=(sentence,),
        blocks=[backfill.unanswered_table(found.unanswered)]
        if rows or found.unanswered.height
        else [],
    )


def _sources(found: Findings) -> Section:
    months = bar_sources.by_month(found.days)
    table = bar_sources.table(months)
    has_bars = (found.days["data_type"] == "klines").any()
    return Section(
        name="sources",
        title="Bars by source",
        sentences=(
            "Rows come from daily and monthly zips, or from the API where the archive "
            "has none. Bars that were never published are forward-filled.",
        ),
        blocks=[figures.sources_by_month(months), table] if has_bars else [table],
    )


def _has(found: Findings, kind: str) -> bool:
    return any(table.kind == kind for table in found.tables)
