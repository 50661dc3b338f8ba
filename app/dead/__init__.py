"""Dead letters: looked at, and sent back to where they came from."""
