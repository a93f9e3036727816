"""From bytes to rows and signals, and back: a codec for the messages of every topic."""
