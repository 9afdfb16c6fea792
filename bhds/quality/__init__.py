"""Quality: what is known of gaps, of conflicts and of each day, and proofs of results.

Every module but `job` takes frames and values and returns frames.
"""
