"""Its store, the same tests on SQLite and PostgreSQL."""
