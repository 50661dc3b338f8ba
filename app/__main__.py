"""`python -m app`: the worker and what is asked around it."""

from app.cli import main

if __name__ == "__main__":
    main()
