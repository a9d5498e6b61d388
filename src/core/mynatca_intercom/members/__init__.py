"""The organisation's people: what a member is and where members are read."""
