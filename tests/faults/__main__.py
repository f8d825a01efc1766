"""Let every call of every writer go wrong, and print what came of it: python -m tests.faults"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.harness import MODES, compiled, single, sweep, why_not
from tests.faults.writers import WRITERS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("writers", nargs="*", metavar="WRITER", help="Only these.")
    parser.add_argument(
        "--most", type=int, help="At most so many calls of each writer and way, spread out.  [default: all]"
    )
    arguments = parser.parse_args()
    chosen = [WRITERS[name] for name in arguments.writers] or list(WRITERS.values())
    if reason := why_not():
        sys.exit(f"error: {reason}")
    single()
    began, calls, failures, wrong = time.monotonic(), 0, 0, []
    print(
        f"| writer | calls | failures: {', '.join(MODES)} at each | lost, wrong or unreadable |\n| --- | --- | --- | --- |"
    )
    with tempfile.TemporaryDirectory() as folder:
        library = compiled(Path(folder))
        for i, writer in enumerate(chosen):
            found = sweep(writer, library, Path(folder) / str(i), most=arguments.most)
            print(f"| {writer.name} | {found.calls} | {found.failures} | {len(found.wrong)} |", flush=True)
            calls, failures = calls + found.calls, failures + found.failures
            wrong += found.wrong
            for each in found.wrong:
                print(each, file=sys.stderr, flush=True)
    print(f"| **all** | {calls} | {failures} | {len(wrong)} |\n\n{time.monotonic() - began:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
