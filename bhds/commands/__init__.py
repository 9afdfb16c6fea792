"""The commands, a module each; `bhds.cli` imports one when it is called."""
