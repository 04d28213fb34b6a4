"""`python -m isbe_np`: the same as the command `isbe`."""

import sys

from isbe_np.cli import main

if __name__ == "__main__":
    sys.exit(main())
