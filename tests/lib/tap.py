# SPDX-License-Identifier: Apache-2.0
"""TAP output for the python tests: a test is a function, its doc string or name is its title."""
import os
import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def main(*tests):
    """Runs the functions (those named on the command line, if any); exit status 1 if one failed."""
    wanted = sys.argv[1:]
    tests = [t for t in tests if not wanted or t.__name__ in wanted]
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        title = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok {number} - {title}", flush=True)
        except Skip as why:
            print(f"ok {number} - {title} # SKIP {why}", flush=True)
        except BaseException as err:  # a time-out or KeyboardInterrupt is a failure with a name too
            failed += 1
            for line in traceback.format_exc().splitlines()[-8:]:
                print("# " + line)
            print(f"not ok {number} - {title}: {err}", flush=True)
            if isinstance(err, KeyboardInterrupt):
                break
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # helper threads must not keep the process
