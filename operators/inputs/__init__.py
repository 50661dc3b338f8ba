"""What every computation on topics shares: rows accepted, rows set aside, and how far inputs are complete."""
