"""The people and what Intercom and Supabase know of them: the data model and the seeded generator."""
