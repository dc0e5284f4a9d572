"""What is wrong with a study: each module lists the mistakes in one part of it."""
