"""Who may ask the panel, and for what: a link that works once, a cookie, and where a request comes from.

The server listens on the loopback, which every user of the machine and every page in the user's browser can reach. So
a request must name a loopback host (else a page elsewhere could point its own name here), carry the cookie that only
the link of the terminal gives, and not have been sent by another site's page. What changes a job needs a token more.
"""

import hmac
import secrets
import threading
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MOST_SESSIONS = 32
CSRF = "X-Pypcore-Token"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Guard:
    """The secrets of one server. ``token`` is in the link that works once; each use makes another."""

    def __init__(self, port: int) -> None:
        self.cookie = f"pypcore-panel-{port}"  # cookies of one host are shared by all of its ports
        self.token = secrets.token_urlsafe(32)
        self.csrf = secrets.token_urlsafe(32)
        self._sessions: list[str] = []
        self._lock = threading.Lock()

    def redeem(self, token: str) -> str | None:
        """Return the session that a link's token opens, as the value of Set-Cookie; None where it opens none."""
        with self._lock:
            if not _same(token, self.token):
                return None
            self.token = secrets.token_urlsafe(32)
            self._sessions = [*self._sessions, secrets.token_urlsafe(32)][-MOST_SESSIONS:]
            return f"{self.cookie}={self._sessions[-1]}; HttpOnly; SameSite=Strict; Path=/"

    def knows(self, cookies: str) -> bool:
        """Say whether a Cookie header has a session of ours."""
        try:
            given = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return False
        return given is not None and any(_same(given.value, session) for session in self._sessions)

    def may_change(self, token: str) -> bool:
        """Say whether a request that changes a job has the token that only our own page can read."""
        return _same(token, self.csrf)


def host_is_ours(host: str) -> bool:
    """Say whether a Host header names the loopback; the port may be any: a tunnel has one of its own."""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK and "@" not in host
    except ValueError:
        return False


def comes_from_elsewhere(headers: Message) -> bool:
    """Say whether another page made the browser send this: one of another site, host or port."""
    site = headers.get("Sec-Fetch-Site", "none")
    origin, host = headers.get("Origin"), headers.get("Host", "")
    return site not in ("none", "same-origin") or (
        origin is not None and origin not in (f"http://{host}", f"https://{host}")
    )


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
