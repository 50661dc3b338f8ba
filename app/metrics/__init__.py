"""What a worker tells those who watch it: its figures, its health, and where both are asked for."""
