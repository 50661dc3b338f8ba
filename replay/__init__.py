"""History: import it, keep it, generate it, and publish it as the streams it once was."""
