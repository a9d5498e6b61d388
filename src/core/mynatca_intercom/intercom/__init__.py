"""Intercom's REST API, version 2.16: the client, its pacing, its errors and what a contact looks like."""
