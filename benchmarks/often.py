"""`./console up` for a harness that kills ten times a minute: every restart waits as the first one does.

The supervisor's growing wait is for a process that keeps ending by itself; here it would only measure how often the
harness came by.
"""

import sys

from gridconsole import supervisor, up

if __name__ == "__main__":
    supervisor.STABLE_S = 0.0  # type: ignore[misc]  # see above
    raise SystemExit(up.main(sys.argv[1:]))
