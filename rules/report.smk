"""Build the quality report, one page.

Inputs: the quality tables of all markets. The other files it reads change only with
them: records of downloads, revisions and requests, sources of partitions, and results of
the few drawn symbols. Output: a page without external files.
"""


rule write_report:
    """Write coverage, gaps, integrity, conflicts and reconciliation to one page."""
    input:
        quality_files,
    output:
        report(
            layout.REPORT,
            caption="captions/quality.rst",
            category="Quality",
            labels={"page": "quality report"},
        ),
    log:
        "logs/write_report/quality.log",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("write_report"),
    params:
        revision=quality_report.REVISION,
        as_of=as_of,
    message:
        "Write the quality report"
    script:
        "../scripts/write_report.py"
