"""`python -m app`: the worker, and the commands to run, check and watch it."""

from app.cli import main

if __name__ == "__main__":
    main()
