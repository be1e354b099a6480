"""Sign-in through an identity provider: OpenID Connect, authorization code with PKCE.

What counts of its answer is issuer and subject, and nothing else: an e-mail address it reports
makes nobody anybody. State and nonce are kept here, for one use and ten minutes, bound to the
browser that began.
Source: OpenID Connect Core 1.0 sections 3.1.2 and 3.1.3.7, RFC 7636, RFC 9207.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from handrail.model.errors import BadInput, Refused, Unavailable
from handrail.settings import Settings

MINUTES = 10
MOST_BEGUN = 10_000
"""Sign-ins under way at once; the oldest is forgotten first."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""How an ID token may be signed. Never `none`, and never with a shared secret."""
LEEWAY_SECONDS = 60
ANSWER_SECONDS = 10.0
RETURN = "/sign-in/provider/return"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Begun(msgspec.Struct, frozen=True):
    """A sign-in under way."""

    browser: str
    """SHA-256 of the cookie of the browser that began."""
    nonce: str
    verifier: str
    place: str
    invitation: str | None
    until: float


class Vouched(msgspec.Struct, frozen=True):
    """Who the provider says somebody is, checked."""

    issuer: str
    subject: str
    place: str
    invitation: str | None


class Provider:
    """One identity provider. Threads may share it; its calls block."""

    def __init__(
        self,
        issuer: str,
        client: str,
        secret: str | None,
        origin: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(issuer)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or local):
            raise BadInput(f"HANDRAIL_OIDC_ISSUER is {issuer!r}; expected https://…")
        if not client:
            raise BadInput("HANDRAIL_OIDC_ISSUER is set; set HANDRAIL_OIDC_CLIENT too")
        self.issuer = issuer
        self.shown = parts.hostname
        self._client = client
        self._secret = secret
        self._return = origin + RETURN
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, Begun] = OrderedDict()
        self._found: tuple[dict[str, Any], float] | None = None

    @classmethod
    def of(cls, settings: Settings, origin: str) -> Provider | None:
        """The provider of these settings; None where they name none."""
        if not settings.oidc_issuer:
            return None
        secret = None
        if settings.oidc_secret_file:
            try:
                secret = Path(settings.oidc_secret_file).read_text("utf-8").strip()
            except OSError as error:
                raise BadInput(
                    f"HANDRAIL_OIDC_SECRET_FILE {settings.oidc_secret_file}: {error.strerror}"
                ) from error
        return cls(settings.oidc_issuer, settings.oidc_client, secret, origin)

    def begin(self, browser: str, place: str, invitation: str | None) -> str:
        """Where to send the browser that holds the cookie `browser`."""
        metadata = self._metadata()
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        verifier = secrets.token_urlsafe(48)
        with self._oauth() as oauth:
            address, _ = oauth.create_authorization_url(
                metadata["authorization_endpoint"],
                state=state,
                nonce=nonce,
                code_verifier=verifier,
                response_type="code",
            )
        now = self._clock()
        with self._lock:
            self._begun[state] = Begun(
                _hash(browser), nonce, verifier, place, invitation, now + MINUTES * 60
            )
            while len(self._begun) > MOST_BEGUN:
                self._begun.popitem(last=False)
        return str(address)

    def finish(self, browser: str, query: Mapping[str, str]) -> Vouched:
        """Who came back. Raises `Refused` where anything about it is not as it was begun."""
        with self._lock:
            begun = self._begun.pop(query.get("state", ""), None)
        if (
            begun is None
            or self._clock() >= begun.until
            or not hmac.compare_digest(begun.browser, _hash(browser))
        ):
            raise Refused(
                "this sign-in was not begun in this browser, or too long ago, or was used before; "
                "begin again"
            )
        if "error" in query:
            raise Refused(f"{self.shown} did not let you in ({query['error'][:80]!r})")
        if query.get("iss", self.issuer) != self.issuer:
            raise Refused("another identity provider answered than was asked")
        token = self._redeem(query.get("code", ""), begun)
        claims = self._claims(str(token.get("id_token", "")), token, begun)
        return Vouched(
            issuer=str(claims["iss"]),
            subject=str(claims["sub"]),
            place=begun.place,
            invitation=begun.invitation,
        )

    # ------------------------------------------------------------------ the provider's answers

    def _redeem(self, code: str, begun: Begun) -> dict[str, Any]:
        import httpx
        from authlib.common.errors import AuthlibBaseError

        try:
            with self._oauth() as oauth:
                return dict(
                    oauth.fetch_token(
                        self._metadata()["token_endpoint"],
                        code=code,
                        code_verifier=begun.verifier,
                        grant_type="authorization_code",
                    )
                )
        except AuthlibBaseError as error:
            raise Refused(f"{self.shown} did not take the code it gave ({error.error})") from error
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise self._away(error) from error

    def _claims(self, id_token: str, token: Mapping[str, Any], begun: Begun) -> Mapping[str, Any]:
        """The claims of the ID token, every one checked that says for whom and when it is."""
        from authlib.common.errors import AuthlibBaseError
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwk, jwt
        from joserfc.errors import JoseError

        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._client},
            "sub": {"essential": True},
        }
        try:
            keys = jwk.KeySet.import_key_set(self._get(self._metadata()["jwks_uri"]))  # type: ignore[arg-type]
            decoded = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options,
                {
                    "nonce": begun.nonce,
                    "client_id": self._client,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock()), leeway=LEEWAY_SECONDS)
        except (JoseError, AuthlibBaseError, ValueError, KeyError) as error:
            raise Refused(f"what {self.shown} says of you does not hold ({error})") from error
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise Refused(f"{self.shown} names no subject")
        found: Mapping[str, Any] = claims
        return found

    def _metadata(self) -> dict[str, Any]:
        """What the provider says of itself, looked up once an hour."""
        now = self._clock()
        if self._found is None or self._found[1] < now:
            address = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
            metadata = self._get(address)
            if metadata.get("issuer") != self.issuer:
                raise Unavailable(
                    f"{address} is of {str(metadata.get('issuer'))[:200]!r}, not of "
                    f"{self.issuer!r}; correct HANDRAIL_OIDC_ISSUER"
                )
            self._found = (metadata, now + 3600)
        return self._found[0]

    def _get(self, address: str) -> dict[str, Any]:
        import httpx

        try:
            answer = httpx.get(address, timeout=ANSWER_SECONDS, follow_redirects=False)
            answer.raise_for_status()
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._away(error) from error
        if not isinstance(found, dict):
            raise self._away(ValueError("no object"))
        return found

    def _oauth(self) -> Any:
        try:
            from authlib.integrations.httpx_client import OAuth2Client
        except ImportError as error:
            raise Unavailable(
                "an identity provider is set up and the package authlib is not here; install "
                "handrail[oidc]"
            ) from error
        return OAuth2Client(
            self._client,
            self._secret,
            scope="openid",
            redirect_uri=self._return,
            code_challenge_method="S256",
            token_endpoint_auth_method="none" if self._secret is None else "client_secret_basic",
            timeout=ANSWER_SECONDS,
        )

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"{self.shown} cannot be asked ({type(error).__name__}); try again")


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()
