"""A domain made ready in a process of its own: what it tells, and what it leaves behind when it is stopped."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from atesc_core import jobs
from atesc_core.domains import DOMAINS, folder_name, prepare
from atesc_core.domains import folder as folders
from tests.support.published_domains import publish
from tests.support.waiting import until


def prepared(name: str, monkeypatch, capsys) -> list[dict]:
    """What the job says, run in this process."""
    monkeypatch.setattr(sys, "argv", ["prepare", name])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    prepare.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def pictures(tmp_path, data_folder):
    for label, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0))):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (20, 20), colour).save(tmp_path / "pictures" / label / f"{i}.png")
    return tmp_path / "pictures"


def test_a_download_tells_how_far_it_is_and_is_read_once(published, monkeypatch, capsys):
    publish(published, "usps")
    size = sum(file.stat().st_size for file in published.folder.iterdir())
    told = prepared("usps", monkeypatch, capsys)
    assert DOMAINS["usps"].status == "present"
    shares = [line["share"] for line in told]
    assert shares == sorted(shares)
    assert told[0] == {"share": 0, "message": "Waiting for the server"}
    assert told[-3]["message"] == "usps.t.bz2: unpacking"
    assert told[-3]["share"] == pytest.approx(0.95 * size / 9e6)
    assert [line["message"] for line in told[-2:]] == ["Reading it once", "Done"]
    monkeypatch.setattr("atesc_core.domains.downloads._drawn", lambda *_: pytest.fail("read again"))
    assert DOMAINS["usps"].read().train.images.shape[1:] == (16, 16)
    assert len(prepared("usps", monkeypatch, capsys)) == 3  # nothing is downloaded twice


def test_without_a_network_it_ends_with_the_reason(data_folder, monkeypatch, capsys):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(
        "torchvision.datasets.USPS.split_list", {"train": ["http://127.0.0.1:1/usps.bz2", "usps.bz2", "0"]}
    )
    with pytest.raises(SystemExit, match=r"^usps: usps.bz2 could not be .*refused.* need no download: mnist"):
        prepared("usps", monkeypatch, capsys)
    assert [file.name for file in data_folder.iterdir()] == [".usps.lock"]


def test_what_is_downloaded_but_damaged_is_not_called_done(published, monkeypatch, capsys):
    train, test = publish(published, "usps")
    published.usps((train[0], np.full_like(train[1], 11)), test)
    with pytest.raises(SystemExit, match="usps: its files in .* cannot be read .labels: expected 0 to 9"):
        prepared("usps", monkeypatch, capsys)


def test_a_folder_is_read_whole_and_kept(pictures, monkeypatch, capsys):
    told = prepared(folder_name(pictures), monkeypatch, capsys)
    assert [line["message"] for line in told[1:-1]] == [f"{read} of 20 images" for read in range(1, 21)]
    assert told[10]["share"] == 0.5
    monkeypatch.setattr(folders, "_read", lambda *_: pytest.fail("read again"))
    assert folders.read_folder(folders.open_folder(folder_name(pictures)), 32).train.images.shape == (12, 32, 32, 3)


def test_a_bad_image_ends_it_in_one_line_that_names_it(pictures, monkeypatch, capsys):
    (pictures / "red" / "a\nb.png").write_bytes(b"nonsense")
    with pytest.raises(SystemExit, match="1 of 21 images cannot be used: red/a b.png: not a readable image"):
        prepared(folder_name(pictures), monkeypatch, capsys)


@pytest.fixture
def endless():
    """A server that sends a megabyte of a large file, and then nothing until the test is over."""
    over = threading.Event()

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(10**8))
            self.end_headers()
            self.wfile.write(bytes(3 * 10**6))
            over.wait(60)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_stopped_it_leaves_nothing_behind(data_folder, endless, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    job = jobs.start("a download that is stopped", "tests.support.slow_server", "svhn", endless)
    until(lambda: "of 100 MB" in job.message and job.share > 0.005 or not job.active)
    assert (data_folder / ".svhn.arriving").exists()
    job.stop()
    job.wait(300)
    assert job.state == "stopped"
    assert [file.name for file in data_folder.iterdir()] == [".svhn.lock"]
    assert DOMAINS["svhn"].status == "downloadable"
