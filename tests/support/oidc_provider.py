"""A provider of OpenID Connect for tests: it signs in whoever names an address. ``python oidc_provider.py PORT``."""

from __future__ import annotations

import secrets
import sys
import time
from html import escape

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT = "lab"
KEY = RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"})
codes: dict[str, tuple[str, str]] = {}  # code: address, nonce


async def configuration(request: Request) -> Response:
    issuer = str(request.base_url).rstrip("/")
    paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
    return JSONResponse(
        {"issuer": issuer, "id_token_signing_alg_values_supported": ["RS256"]}
        | {name: f"{issuer}/{path}" for name, path in paths.items()}
    )


async def authorize(request: Request) -> Response:
    """Ask for an address; with one, go back to the lab with a code."""
    query = request.query_params
    if "email" not in query:
        fields = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in query.items()
        )
        return HTMLResponse(f'<form>{fields}<label>E-mail <input name="email"></label><button>Continue</button></form>')
    code = secrets.token_hex(8)
    codes[code] = query["email"], query.get("nonce", "")
    return RedirectResponse(f"{query['redirect_uri']}?code={code}&state={query['state']}")


async def token(request: Request) -> Response:
    email, nonce = codes.pop(str((await request.form())["code"]))
    now = int(time.time())
    claims = {
        "iss": str(request.base_url).rstrip("/"),
        "aud": CLIENT,
        "sub": email,
        "email": email,
        "email_verified": True,
    }
    signed = jwt.encode({"alg": "RS256", "kid": "test"}, claims | {"nonce": nonce, "iat": now, "exp": now + 600}, KEY)
    return JSONResponse({"access_token": "none", "token_type": "Bearer", "id_token": signed})


async def keys(request: Request) -> Response:
    return JSONResponse({"keys": [KEY.as_dict(private=False)]})


app = Starlette(
    routes=[
        Route("/.well-known/openid-configuration", configuration),
        Route("/authorize", authorize),
        Route("/token", token, methods=["POST"]),
        Route("/keys", keys),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
