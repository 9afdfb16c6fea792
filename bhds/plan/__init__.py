"""Plan a run: settings, requested symbols, existing and missing files."""
