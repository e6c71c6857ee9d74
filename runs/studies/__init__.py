"""Studies that take longer than a test: each is a module to run, with a make target."""
