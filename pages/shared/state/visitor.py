"""The visitor of this script run: whether they may enter, and whether they may change anything."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

import streamlit as st

from pages.shared.access import Role, access

SETTINGS = "atesc_lab"  # section of secrets.toml with the patterns of owners' and viewers' e-mail addresses


def admit() -> None:
    """Stop the script run, and draw why, for a visitor who may not enter."""
    if not access().by_provider:
        return  # the middleware has let them in
    if not st.user.is_logged_in:
        st.title("ATEsc Lab", anchor=False)
        for provider in _providers():
            label = f"Sign in with {provider}" if provider else "Sign in"
            st.button(label, icon=":material/login:", on_click=st.login, args=(provider,) if provider else ())
        st.stop()
    if role() is None:
        st.title("ATEsc Lab", anchor=False)
        st.text(f"{st.user.get('email') or 'This account'} may not enter this lab. Ask whoever runs it.")
        st.button("Sign out", icon=":material/logout:", on_click=st.logout)
        st.stop()


def may_change() -> bool:
    """Whether this visitor may start and change runs, teachers and domains."""
    return role() is Role.OWNER


def role() -> Role | None:
    """What this visitor may do; None if they may not enter."""
    if access().by_provider:
        return _role_of_account()
    if not access().tokens:
        return Role.OWNER
    return access().role_of_cookie(st.context.cookies.get(access().cookie))


def _role_of_account() -> Role | None:
    settings = st.secrets.get(SETTINGS, {})
    # Some providers let anybody write any address, and say then that it is not verified, or nothing.
    verified = st.user.get("email_verified") in (True, "true") or settings.get("unverified_addresses") is True
    if not st.user.is_logged_in or not verified:
        return None
    email = str(st.user.get("email") or "").lower()
    return next((role for role in Role if _matches(email, settings.get(f"{role}s", ()))), None)


def _matches(email: str, patterns: str | Sequence[str]) -> bool:
    several = (patterns,) if isinstance(patterns, str) else patterns
    return bool(email) and any(fnmatch(email, pattern.lower()) for pattern in several)


def _providers() -> list[str]:
    """The names of the providers of the section ``[auth]``; one empty name if the section is itself a provider."""
    settings = st.secrets["auth"]
    named = [name for name in settings if hasattr(settings[name], "keys")]
    return named if "client_id" not in settings else ["", *named]
