"""Show what is known of all data in one page.

Inputs: the quality tables of all markets. What else is read changes only with them: the
records of downloads, revisions and requests, the sources of partitions, and the results
of the few symbols that are drawn. Output: a page that needs nothing else.
"""


rule write_report:
    """Lay out coverage, gaps, integrity, conflicts and proofs for reading."""
    input:
        quality_files,
    output:
        report(
            "reports/quality.html",
            caption="captions/quality.rst",
            category="Quality",
            labels={"page": "quality report"},
        ),
    log:
        "logs/write_report/quality.log",
    conda:
        "../envs/bhds.yaml"
    params:
        revision=quality_report.REVISION,
        as_of=as_of,
    message:
        "Write the quality report"
    script:
        "../scripts/write_report.py"
