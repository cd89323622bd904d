"""`python -m timesplit` is `timesplit`."""

from .cli import main

if __name__ == "__main__":
    main()
