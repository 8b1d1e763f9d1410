"""`python -m rayrig`."""

from rayrig.cli import main

if __name__ == "__main__":
    main()
