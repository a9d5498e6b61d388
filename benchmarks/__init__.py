"""What `make bench` measures; `run` is the command line, every other module measures one thing or helps with it."""
