"""Programs that others wrote, as operations: one card (TOML) a program, and rules that all are held to."""
