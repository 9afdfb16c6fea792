"""Build regular, filled and resampled bars. Frames in, frames out; no files."""
