"""The command that brings members into Intercom: runs on a schedule, or by hand."""
