"""Intercom and Supabase to run against, in one process, for demos, tests and development.

The sandbox shares no code with the programs that it serves, so that a mistake in one cannot hide the same
mistake in the other.
"""
