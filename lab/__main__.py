"""`python -m lab` and `accelerate launch -m lab` are the command `lab`."""

from lab.cli import main

if __name__ == "__main__":
    main()
