"""Find files that nothing needs any more, and remove them."""
