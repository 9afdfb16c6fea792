"""Markets, intervals, grid points of time, errors: no files, no network."""
