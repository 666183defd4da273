"""``python -m workers.worker``"""

import sys

from app.core.deferred import uncollected

with uncollected():
    from workers.worker.crew import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
