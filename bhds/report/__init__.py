"""The quality report: one page of what is known of all that was built.

`job` reads and writes; `inputs` says which tables there are; a module for each part of
the page condenses them to `blocks`; `page` makes HTML of these.
"""

REVISION = 5
"""Raise by one when the same inputs must yield another page. It stands here because
every process that plans reads it, and `job` takes half a second to import."""
