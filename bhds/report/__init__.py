"""The quality report: one page on everything that was built.

`findings` reads the inputs; a module per section condenses them to tables; `sections`
arranges these; `page` renders HTML.
"""

REVISION = 7
"""Raise by one when the same inputs must yield another page. It is here because every
process that plans reads it, and the stage takes half a second to import."""
