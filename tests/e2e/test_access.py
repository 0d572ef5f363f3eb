"""A lab that others reach: signing in with a token, or with an account of a provider."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import wait_until_idle
from tests.support.server import APP, ROOT

pytestmark = pytest.mark.e2e
OWNER, VIEWER = "owner-token-of-this-test", "viewer-token-of-this-test"


@pytest.fixture(scope="module")
def open_lab(serve):
    return serve(ATESC_SIGN_IN="1", ATESC_TOKEN=OWNER, ATESC_VIEWER_TOKEN=VIEWER)


@pytest.fixture
def visitor(browser: Browser) -> Page:
    """A new browser, without the cookies of others."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_whoever_has_no_token_sees_nothing_of_the_lab(open_lab, visitor: Page):
    visitor.goto(f"{open_lab.url}/distill")
    expect(visitor.get_by_role("heading", name="ATEsc Lab")).to_be_visible()
    visitor.get_by_label("Token").fill("guessed-token-of-nobody")
    visitor.get_by_role("button", name="Sign in").click()
    expect(visitor.get_by_role("alert")).to_have_text("This is not a token of this lab, or no longer.")
    visitor.get_by_label("Token").fill(OWNER)
    visitor.get_by_role("button", name="Sign in").click()
    expect(visitor.get_by_role("button", name="Start")).to_be_enabled()
    assert visitor.url == f"{open_lab.url}/distill"


def test_a_class_opens_a_link_and_looks_only(open_lab, visitor: Page):
    visitor.goto(f"{open_lab.url}/distill?token={VIEWER}&teacher=mnistm-mnist-ntl")
    expect(visitor.get_by_text("look only")).to_be_visible()
    expect(visitor.get_by_role("button", name="Start")).to_be_disabled()
    assert VIEWER not in visitor.url  # so that no copied link has it
    visitor.reload()
    wait_until_idle(visitor)
    expect(visitor.get_by_text("look only")).to_be_visible()


def test_who_signs_out_is_asked_for_a_token_again(open_lab, visitor: Page):
    visitor.goto(f"{open_lab.url}/?token={OWNER}")
    visitor.get_by_role("link", name="Sign out").click()
    expect(visitor.get_by_label("Token")).to_be_visible()
    visitor.goto(f"{open_lab.url}/distill")
    expect(visitor.get_by_label("Token")).to_be_visible()


def test_the_links_are_printed_without_the_chosen_tokens(open_lab):
    log = open_lab.log.read_text()
    assert f"{open_lab.url}/?token=($ATESC_TOKEN)" in log
    assert OWNER not in log
    assert VIEWER not in log


# ── accounts ────────────────────────────────────────────────────────────────────────────────


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab_with_accounts(serve, tmp_path_factory):
    """A lab whose visitors sign in at a provider; the lab and the provider are servers of this machine."""
    provider, secrets = free_port(), tmp_path_factory.mktemp("secrets") / "secrets.toml"
    process = subprocess.Popen([sys.executable, "-m", "tests.support.oidc_provider", str(provider)], cwd=ROOT)
    lab = serve([*APP, f"--secrets.files={secrets}"], start=False)
    secrets.write_text(f"""
[auth]
redirect_uri = "{lab.url}/oauth2callback"
cookie_secret = "a secret of this test, not of a lab"
client_id = "lab"
client_secret = "none"
server_metadata_url = "http://127.0.0.1:{provider}/.well-known/openid-configuration"

[atesc_lab]
owners = ["ada@uni.example"]
viewers = ["*@students.uni.example"]
""")
    lab.start()
    yield lab
    process.terminate()
    process.wait()


@pytest.mark.parametrize(
    ("email", "sees"),
    [
        ("ada@uni.example", "Start"),
        ("bob@students.uni.example", "look only"),
        ("eve@elsewhere.example", "eve@elsewhere.example may not enter this lab. Ask whoever runs it."),
    ],
)
def test_an_account_has_its_role(lab_with_accounts, visitor: Page, email: str, sees: str):
    visitor.goto(f"{lab_with_accounts.url}/distill")
    expect(visitor.get_by_text("This machine")).to_have_count(0)
    visitor.get_by_role("button", name="Sign in").click()
    visitor.get_by_label("E-mail").fill(email)
    visitor.get_by_role("button", name="Continue").click()
    expect(visitor.get_by_text(sees, exact=True).first).to_be_visible()
    visitor.goto(f"{lab_with_accounts.url}/distill")
    start = visitor.get_by_role("button", name="Start", exact=True)
    if sees == "Start":
        expect(start).to_be_enabled()
    elif sees == "look only":
        expect(start).to_be_disabled()
    else:
        expect(visitor.get_by_text(sees)).to_be_visible()
        expect(start).to_have_count(0)
        visitor.get_by_role("button", name="Sign out").click()
        expect(visitor.get_by_role("button", name="Sign in")).to_be_visible()
