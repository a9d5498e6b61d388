"""The sandbox against what others say about Intercom: its published API description and its official library."""
