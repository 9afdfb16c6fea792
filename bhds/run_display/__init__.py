"""What a run shows: one live block in a terminal, few plain lines elsewhere."""
