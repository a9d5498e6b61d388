"""What the service answers over HTTP; one module, one blueprint for each kind of caller.

Routes without a body have `ignore_body=False`: else Sanic logs an error for each request that has one nevertheless.
"""
