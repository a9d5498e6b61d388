"""What every program of mynatca-intercom shares.

`members` knows the organisation's people, `intercom` speaks Intercom's API, and `reconcile` is the one place that
decides what to write and the one place that writes it.
"""
