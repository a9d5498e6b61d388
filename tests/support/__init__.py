"""What several tests share: running the command against a sandbox, and worlds full of trouble."""
