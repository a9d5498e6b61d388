"""Intercom's webhooks: which notifications an event makes (`topics`), and how they are delivered (`delivery`)."""
