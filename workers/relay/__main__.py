"""``python -m workers.relay``"""

import logging
import os

from app.core.deferred import uncollected

with uncollected():
    from workers.relay.loops import main

if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # An ordinary exit would wait for threads that wait for an answer of CI or of an endpoint.
    os._exit(code)
