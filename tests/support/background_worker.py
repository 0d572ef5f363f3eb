"""What tests/jobs/test_process.py starts: it works, hangs or fails, as asked."""

import json
import sys
import time


def tell(share: float, what: str) -> None:
    print(json.dumps({"share": share, "what": what}), flush=True)


if __name__ == "__main__":
    tell(0, "starting")
    if sys.argv[1] == "fail":
        raise ValueError("no such thing")
    tell(0.25, "working")
    if sys.argv[1] == "hang":
        time.sleep(0.05)
        tell(0.5, "hanging")
        time.sleep(60)
    tell(1, "done")
