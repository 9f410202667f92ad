#!/usr/bin/env python
"""The command line of Grid Console."""

import os
import sys


def main() -> int:
    """Run one command; a wrong setting ends in one line that says what to change."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")
    from gridconsole.env import InvalidEnvironment

    try:
        if sys.argv[1:2] == ["up"]:
            # The supervisor stays for days and needs nothing of Django.
            from gridconsole.up import main as up

            return up(sys.argv[2:])
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except InvalidEnvironment as error:
        print(f"Wrong setting. {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
