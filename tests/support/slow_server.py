"""The job module of tests/domains/test_prepare.py: `prepare`, with SVHN from the test's server."""

import sys

from torchvision import datasets

from atesc_core.domains import prepare

if __name__ == "__main__":
    url = sys.argv.pop()
    datasets.SVHN.split_list = {
        part: [f"{url}/{part}_32x32.mat", f"{part}_32x32.mat", "0"] for part in ("train", "test")
    }
    prepare.main()
