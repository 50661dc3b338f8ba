"""What people ask of a group that runs, and of a machine before one does."""
