"""Classify gaps, rate days, compare with published bars: frames in, frames out."""
