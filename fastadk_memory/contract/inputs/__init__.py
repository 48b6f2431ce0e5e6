"""What is handed to a backend: keys, values, TTLs and patterns, right and wrong."""
