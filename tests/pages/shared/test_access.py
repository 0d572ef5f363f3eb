"""Who may enter the lab, and what those who may only look see."""

from __future__ import annotations

import ast
import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st

from atesc_core.domains import folder
from atesc_core.errors import DomainError, ReadOnlyError
from atesc_core.paths import IMPORT_ROOT
from pages.shared import access
from pages.shared.access import Access, AccessError, Role, SignIn, cookie_of
from pages.shared.state import visitor
from tests.support.labs import tiny_spec
from tests.support.pages import PAGE_NAMES, button, page_text

OWNER, VIEWER = "an owner's token, long", "a viewer's token, long"
BOTH = Access({Role.OWNER: OWNER, Role.VIEWER: VIEWER})


def labels_of_actions() -> set[str]:
    """The label of every action_button of the pages, and of the buttons of a run, which are made in a loop."""
    calls = [
        node
        for path in (IMPORT_ROOT / "pages").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "action_button"
    ]
    labels = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    return labels | {"Pause", "Stop", "Resume", "Step"}


CHANGES = labels_of_actions()


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    for name in ("ATESC_TOKEN", "ATESC_VIEWER_TOKEN", "ATESC_SIGN_IN", "ATESC_FOLDERS"):
        monkeypatch.setenv(name, "")  # so that what a test leaves there is taken away after it
        monkeypatch.delenv(name)
    access.access.cache_clear()
    yield
    access.access.cache_clear()


@pytest.fixture
def viewer(monkeypatch):
    monkeypatch.setattr(visitor, "role", lambda: Role.VIEWER)


def listen_at(monkeypatch, address, *secrets):
    options = {"server.address": address, "server.port": 8501, "secrets.files": secrets}
    monkeypatch.setattr(st, "get_option", options.get)


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "192.168.1.7", "lab.example.org"])
def test_a_server_that_others_reach_asks_for_a_token(monkeypatch, address):
    listen_at(monkeypatch, address)
    tokens = access.access().tokens
    assert set(tokens) == set(Role)
    assert len(tokens[Role.OWNER]) >= 32
    assert tokens[Role.OWNER] != tokens[Role.VIEWER]


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_a_server_of_its_own_machine_asks_nobody_unless_told_to(monkeypatch, address):
    listen_at(monkeypatch, address)
    assert access.access() == Access({})
    access.access.cache_clear()
    monkeypatch.setenv("ATESC_SIGN_IN", "1")
    assert set(access.access().tokens) == set(Role)


@pytest.mark.parametrize(("address", "refused"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_where_visitors_sign_in_no_folder_is_read_unless_named(monkeypatch, tmp_path, address, refused):
    listen_at(monkeypatch, address)
    access.access()
    with pytest.raises(DomainError, match="not among the folders" if refused else "no sub-folders"):
        folder.open_folder(f"folder:{tmp_path}")


def test_tokens_of_the_environment(monkeypatch):
    listen_at(monkeypatch, "127.0.0.1")
    monkeypatch.setenv("ATESC_TOKEN", OWNER)
    monkeypatch.setenv("ATESC_VIEWER_TOKEN", VIEWER)
    assert access.access() == BOTH


@pytest.mark.parametrize(
    ("owner", "viewer", "message"),
    [
        ("", None, "ATESC_TOKEN has 0 characters; expected at least 16"),
        ("short", None, "ATESC_TOKEN has 5 characters; expected at least 16"),
        (OWNER, "short", "ATESC_VIEWER_TOKEN has 5 characters"),
        (OWNER, OWNER, "are the same"),
    ],
)
def test_a_token_that_can_be_guessed_is_refused(monkeypatch, owner, viewer, message):
    listen_at(monkeypatch, "0.0.0.0")
    monkeypatch.setenv("ATESC_TOKEN", owner)
    if viewer is not None:
        monkeypatch.setenv("ATESC_VIEWER_TOKEN", viewer)
    with pytest.raises(AccessError, match=message):
        access.access()


@pytest.mark.parametrize(
    ("token", "role"),
    [(OWNER, Role.OWNER), (VIEWER, Role.VIEWER), (None, None), ("", None), ("ünknown", None), (OWNER[:-1], None)],
)
def test_the_role_of_a_token(token, role):
    assert BOTH.role(token) is role
    assert BOTH.role_of_cookie(token and cookie_of(token)) is role
    assert Access({}).role(token) is None


def answer(entry: Access, path="/", kind="http", client="203.0.113.9", cookie=None, query="", host="lab:8501"):
    """What the middleware answers: a status, or "in" if it lets the visitor through."""
    sent = []

    async def lab(scope, receive, send):
        sent.append({"status": "in"})

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"host", host.encode())] + ([(b"cookie", f'{entry.cookie}="{cookie}"'.encode())] if cookie else [])
    scope = {
        "type": kind,
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "client": (client, 5),
    }
    with ThreadPoolExecutor() as pool:  # Playwright's loop runs in this thread after a test with a browser
        pool.submit(lambda: asyncio.run(SignIn(lab, entry)(scope, receive, send))).result()
    return sent[0].get("status") or sent[0]["type"]


@pytest.mark.parametrize("path", ["/", "/distill", "/media/a.png", "/static/js/main.js"])
def test_nothing_is_given_without_a_token(path):
    assert answer(BOTH, path) == 401
    assert answer(BOTH, path, cookie="another") == answer(BOTH, path, cookie=OWNER) == 401
    assert answer(BOTH, path, query="token=another") == 401
    assert answer(BOTH, path, cookie=cookie_of(OWNER)) == "in"
    assert answer(BOTH, path, query=f"token={OWNER}") == 303
    assert answer(BOTH, path, client="127.0.0.1") == 401  # a proxy on the same machine


def test_no_page_runs_without_a_token():
    assert answer(BOTH, "/_stcore/stream", "websocket") == "websocket.close"
    assert answer(BOTH, "/_stcore/stream", "websocket", query=f"token={OWNER}") == "websocket.close"
    assert answer(BOTH, "/_stcore/stream", "websocket", cookie=cookie_of(VIEWER)) == "in"


def test_only_the_health_check_is_for_everybody():
    assert answer(BOTH, "/_stcore/health") == "in"
    assert answer(BOTH, "/x/_stcore/health") == answer(BOTH, "/_stcore/health/x") == 401
    assert answer(BOTH, "/_stcore/health", "websocket") == "websocket.close"


def test_viewers_upload_nothing_not_even_without_a_page():
    """Streamlit keeps what anybody with a session sends to its upload address."""
    path = "/_stcore/upload_file/session/file"
    assert answer(BOTH, path) == answer(BOTH, path, cookie=cookie_of(VIEWER)) == 403
    assert answer(BOTH, path, cookie=cookie_of(OWNER)) == "in"
    assert answer(Access({}, by_provider=True), path) == 403
    assert answer(Access({}, by_provider=True), "/distill") == "in"  # the page asks for the account


def test_who_signs_out_is_asked_again():
    assert answer(BOTH, "/sign-out", cookie=cookie_of(OWNER)) == 303


def test_secrets_that_cannot_be_read_let_nobody_in(monkeypatch, tmp_path):
    """A broken secrets.toml was taken for none, and everybody for an owner."""
    (tmp_path / "secrets.toml").write_text("[auth\n")
    listen_at(monkeypatch, "127.0.0.1", str(tmp_path / "secrets.toml"))
    with pytest.raises(AccessError, match="cannot be read; expected TOML"):
        access.access()


def test_without_sign_in_only_this_machine_is_served():
    """`uvicorn app:app --host 0.0.0.0`: the address in Streamlit's configuration is not the server's."""
    for host in ("localhost:8501", "127.0.0.1:8501", "[::1]:8501"):
        assert answer(Access({}), client="127.0.0.1", host=host) == answer(Access({}), client="::1", host=host) == "in"
        assert answer(Access({}), host=host) == 403
    # A web page may give its own name the address 127.0.0.1, and ask this server from the owner's browser.
    assert answer(Access({}), client="127.0.0.1", host="evil.example:8501") == 403
    assert answer(Access({}), "/_stcore/stream", "websocket") == "websocket.close"


# ── those who may only look ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_a_viewer_sees_every_page_with_its_actions_disabled(viewer, open_page, finished_run, report, page):
    assert {"Check", "Add", "Thin", "Empty", "Delete for good", "Slow motion", "Download", "Train"} <= CHANGES
    for query in ({}, {"run": finished_run.id}):
        app = open_page(page, **query)
        assert not app.exception
        assert [each.label for each in app.button if each.label in CHANGES and not each.disabled] == []
        assert "look only" in page_text(app)


def test_a_forged_press_starts_nothing(viewer, open_page, store):
    """A browser can send the press of a disabled button; Streamlit does not ask whether it was enabled."""
    app = open_page("distill")
    start = button(app, "Start")
    start.proto.disabled = False
    assert not start.click().run().exception
    assert store.all_runs() == []


def test_an_owner_starts_a_run(open_page, store):
    assert not button(open_page("distill"), "Start").click().run().exception
    assert len(store.all_runs()) == 1


def test_the_store_of_a_viewer_refuses_every_request(viewer, store):
    from pages.shared.data.store import run_store

    run_id = store.create(tiny_spec())
    looking = run_store()
    assert looking.get(run_id).status == "queued"
    for request in (looking.pause, looking.stop, looking.delete, looking.step, looking.take_turn, looking.thin):
        with pytest.raises(ReadOnlyError, match="only the owners of this lab may change them"):
            request(run_id)
    with pytest.raises(ReadOnlyError):
        looking.create(tiny_spec())
    with pytest.raises(ReadOnlyError):
        looking.set_threshold(run_id, 1.0)
    assert [run.id for run in store.all_runs()] == [run_id]
    assert len(list((store.runs_dir / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("email", "verified", "role"),
    [
        ("Ada@Uni.Example", True, Role.OWNER),
        ("bob@students.uni.example", "true", Role.VIEWER),
        ("ada@uni.example", False, None),  # anybody can claim an address that was not verified
        ("ada@uni.example", "false", None),
        ("ada@uni.example", None, None),
        ("eve@elsewhere.example", True, None),
        ("", True, None),
    ],
)
def test_accounts_have_the_role_that_the_secrets_say(monkeypatch, email, verified, role):
    monkeypatch.setattr(visitor, "access", lambda: Access({}, by_provider=True))
    account = {"is_logged_in": True, "email": email, "email_verified": verified}
    monkeypatch.setattr(st, "user", type("User", (dict,), {"is_logged_in": True})(account))
    monkeypatch.setattr(
        st, "secrets", {"atesc_lab": {"owners": "ada@uni.example", "viewers": ["*@students.uni.example"]}}
    )
    assert visitor.role() is role


# ── folders ─────────────────────────────────────────────────────────────────────────────────


def test_only_the_folders_that_were_named_become_domains(monkeypatch, tmp_path):
    for name in ("open/cats", "open/dogs", "opened/cats", "secret/cats"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "open" / "link").symlink_to(tmp_path / "secret")
    monkeypatch.setenv("ATESC_FOLDERS", str(tmp_path / "open"))
    for path in ("secret", "opened", "secret/not there", "open/link", "open/../secret"):
        with pytest.raises(DomainError, match="not among the folders that this lab may read"):
            folder.open_folder(f"folder:{tmp_path / path}")
    with pytest.raises(DomainError, match="class 'cats' has 0 images"):
        folder.open_folder(f"folder:{tmp_path / 'open'}")
    monkeypatch.setenv("ATESC_FOLDERS", "")
    with pytest.raises(DomainError, match="not among the folders"):
        folder.open_folder(f"folder:{tmp_path / 'open'}")
