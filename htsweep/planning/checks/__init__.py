"""What is wrong with a study: each module checks one part of it, and lists every mistake with its line and remedy."""
