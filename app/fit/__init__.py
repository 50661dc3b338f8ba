"""Models fitted over history: which rows may train as of a moment, the fits of each mode, their checks."""
