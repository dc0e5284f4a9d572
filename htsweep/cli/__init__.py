"""The command line: words come in, what a person reads goes out."""
