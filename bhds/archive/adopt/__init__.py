"""Adopt zips that another tool downloaded."""
