"""The jobs: read their input files, call the pure functions, write their outputs."""
