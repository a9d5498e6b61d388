"""The operator on a real cluster, whose pods run the real images."""
