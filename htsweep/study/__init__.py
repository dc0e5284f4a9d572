"""What the user wrote: turns a YAML file into a `Study` whose values know their lines."""
