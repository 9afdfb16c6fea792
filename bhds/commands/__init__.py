"""The commands that read the settings: `bhds plan`, `bhds clean`, `bhds api-data`."""
