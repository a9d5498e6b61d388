"""What the webhook must not lose: events until they are worked, and the journal of what was written because of them.

One implementation for SQLite (one machine, the default) and PostgreSQL (any number of replicas); where they differ
stands in `databases` alone. An event becomes part of the job of its key; a job is claimed by one worker at a time.
"""
