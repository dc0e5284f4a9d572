"""The command line: takes arguments, and prints what people read."""
