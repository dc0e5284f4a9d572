"""What the user wrote: a YAML file comes in, a `Study` whose values know their lines goes out."""
