"""The decision engine: match contacts to members, plan what to write, apply the plan, account for it.

`match`, `mapping`, `plan` and `brakes` are pure; `apply`, `conflicts` and `journal` are the only places that write.
"""
