"""Members from every source."""
