"""What the service answers over HTTP; one module, one blueprint for each kind of caller."""
