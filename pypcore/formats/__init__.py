"""Files to arrays and small tables, and back."""
