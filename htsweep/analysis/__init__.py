"""What measurements say: pure functions, tables in, tables out."""
