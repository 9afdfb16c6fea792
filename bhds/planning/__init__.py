"""What the settings ask for, what is there, and what must be fetched or made."""
