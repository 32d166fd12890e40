"""`python -m streamnorm` is `streamnorm`."""

from streamnorm.cli import main

if __name__ == "__main__":
    main()
