"""Run the command line as `python -m lipbench`."""

from lipbench.cli.main import main

if __name__ == "__main__":
    main()
