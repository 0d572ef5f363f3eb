"""The job module of tests/jobs. Its argument decides whether the job works, hangs, fails or reports a result."""

import sys
import time

from atesc_core.jobs import report_progress, report_result

if __name__ == "__main__":
    report_progress(0, "starting")
    print("a line of a library")
    if sys.argv[1] == "fail":
        raise ValueError("no such thing")
    report_progress(0.25, "working")
    if sys.argv[1] == "hang":
        time.sleep(0.05)
        report_progress(0.5, "hanging")
        time.sleep(60)
    if sys.argv[1] == "result":
        report_result({"cores": 2})
    if sys.argv[1] == "garbage":
        sys.stdout.buffer.write(b'\xff\xfe{"share": null}\n{"share": null, "message": "x"}\n{"share": 0.5}\n[1]\n')
        sys.stdout.buffer.flush()
    report_progress(1, "done")
