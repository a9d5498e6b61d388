"""Supabase's Data API: PostgREST 13 over the tables of a world, for reading."""
