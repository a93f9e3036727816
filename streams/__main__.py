"""The program `marginwatch`; also ``python -m streams``.

Nothing that is imported is garbage: without the collector looking at it again and again, the start takes a fifth less.
"""

import gc

gc.disable()

from streams.cli.main import main  # noqa: E402

gc.enable()

if __name__ == "__main__":
    main()
