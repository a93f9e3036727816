"""The program `marginwatch`; also ``python -m streams``.

Garbage is collected less often than Python's defaults have it: imports, those of the commands too, leave none, and with
the defaults a start takes a fifth longer.
"""

import gc

gc.set_threshold(100_000, 20, 100)

from streams.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
