"""The parts of the page, in their order: which tables and figures say what."""

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
    proofs,
    revisions,
    summary,
)
from bhds.report.blocks import Section
from bhds.report.findings import Fetched, Findings
from bhds.report.inputs import paths_of


def sections(found: Findings) -> list[Section]:
    """Lay out all that was found, what matters most first."""
    return [
        *(_days(found) if found.days.height else [_NOTHING]),
        _gaps(found),
        _pictures(found),
        _files(found),
        _conflicts(found),
        _proofs(found),
        _api(found),
        *([_sources(found)] if found.days.height else []),
    ]


_NOTHING = Section(
    name="summary",
    title="Summary",
    sentences=(
        "There are no quality tables: the settings name no data set that is parsed.",
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
                "A day is available if every row was published and nothing speaks "
                "against any, degraded if some lack or are in doubt, missing if there "
                "is none though the symbol was listed, and pending while its file may "
                "still come.",
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
            "Every symbol traded in every bar: there are no gaps."
            if _has(found, "gaps")
            else "Gaps are looked for in klines, and the settings name none."
        )
        return Section(name="gaps", title="Gaps", sentences=(none,))
    where = paths_of(found.tables, "gaps")
    return Section(
        name="gaps",
        title="Gaps",
        sentences=(
            "Stretches in which a symbol has no trades, and why: what its files, the "
            "API and the other symbols of its market say.",
        ),
        blocks=(
            figures.gaps_by_month(gaps.by_month(found.gaps)),
            gaps.by_class(found.gaps),
            gaps.longest(found.gaps, where=where),
        ),
    )


def _pictures(found: Findings) -> Section:
    sentence = (
        "Price (the close, and the span from low to high) and volume of the symbols "
        "that lost most time to gaps. Gaps are marked in the colour of their class; "
        "short ones are drawn wider than they are, to be seen. The line breaks where "
        "nothing was published."
    )
    none = "No symbol has gaps that could be shown."
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
            "Each zip is compared with its CHECKSUM where it is read. Rows of corrupt "
            "ones are left out, and asked from the API.",
            _downloads(found.fetched),
        ),
        blocks=(
            integrity.series_table(found.integrity.series),
            integrity.doubtful_table(found.integrity.doubtful),
            revisions.table(revisions.by_zip(found.revisions)),
        ),
    )


def _downloads(fetched: Fetched) -> str:
    """Show what the archive served, and how much of it in more than one revision."""
    if not fetched.files:
        return "The ledger of downloads has no file."
    files = summary.counted(fetched.files, "file")
    replaced = f"{fetched.replaced:,}" if fetched.replaced else "none"
    return (
        f"{files} ({decimal(fetched.size_bytes)}; zips and CHECKSUMs) came from the "
        f"archive, {replaced} of them in more than one revision."
    )


def _conflicts(found: Findings) -> Section:
    if not _has(found, "conflicts"):
        none = "Conflicts are looked for in klines, and the settings name none."
        return Section(name="conflicts", title="Conflicts", sentences=(none,))
    where = paths_of(found.tables, "conflicts")
    return Section(
        name="conflicts",
        title="Conflicts",
        sentences=(
            "Bars that were published twice with other values: which was kept, and "
            "which was dropped. A bar with trades goes before one without; then daily "
            "zips go before the API, and that before monthly ones.",
        ),
        blocks=(conflicts.table(found.conflicts, where=where),),
    )


def _proofs(found: Findings) -> Section:
    sentences, blocks = [], []
    if _has(found, "agreement"):
        sentences.append(
            "Bars resampled from the results are compared with those that the "
            "exchange itself published: prices and numbers of trades must be the same, "
            "sums may differ by what adding up in another order costs."
        )
        where = paths_of(found.tables, "agreement")
        blocks.append(proofs.by_column(found.agreement))
        blocks.append(proofs.differing(found.agreement, where=where))
    else:
        sentences.append(
            "The settings name no klines of a longer interval of the same symbols that "
            "the results could be compared with; a dataset of 1d klines, say, would do."
        )
    if _has(found, "volume_checks"):
        checks = found.volume_checks
        sentences.append(
            f"On {checks['agrees'].sum():,} of {checks.height:,} days that were "
            "checked, the quantities of aggTrades add up to the volume of the bars."
        )
        where = paths_of(found.tables, "volume_checks")
        blocks.append(proofs.volumes(checks, where=where))
    return Section(name="proofs", title="Proofs", sentences=sentences, blocks=blocks)


def _api(found: Findings) -> Section:
    rows = summary.rows_of_api(found)
    sentence = (
        f"The REST API supplies {summary.counted(rows, 'row')} that the archive lacks."
        if rows
        else "No row comes from the REST API: it is switched off (`api.enabled`), or "
        "it has nothing that the archive lacks."
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
            "Rows of daily and monthly zips, of the API where the archive lacks them, "
            "and bars that were never published and are filled.",
        ),
        blocks=[figures.sources_by_month(months), table] if has_bars else [table],
    )


def _has(found: Findings, kind: str) -> bool:
    return any(table.kind == kind for table in found.tables)
