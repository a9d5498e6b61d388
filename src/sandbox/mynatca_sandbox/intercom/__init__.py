"""Intercom's REST API, versions 2.14 to 2.16, as strict as its published description says.

One module per rule: who may call and how often (`gate`, `rate_limit`), the API's objects (`serialize`),
contacts (`contacts`, `fields`, `uniqueness`, `lifecycle`, `merge`, `notes`, `contact_search`), the search
language (`search`, `search_fields`), the rest by its name in the API. Where the description is silent, a
comment or docstring says "assumed" or "inferred".
"""
