"""The exchange's REST API: what the archive lacks, asked within one request budget.

`client` is what jobs use; `budget` keeps all processes of this machine within what the
exchange allows an address, `endpoints` knows what each market's API is like.
"""
