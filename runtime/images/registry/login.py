"""login and logout: passwords are tried at the registry before they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import Denied, EngineError, InvalidInput
from runtime.images.reference import DEFAULT_DOMAIN
from runtime.images.registry.credentials import Credentials, CredentialStore
from runtime.images.registry.endpoints import endpoints
from runtime.images.registry.faults import Temporary, WrongScheme
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Timing, Transport
from runtime.model.event import CancelEvent

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["known_user", "login", "logout", "registry_name"]


def registry_name(server: str) -> str:
    """What users write ("https://localhost:5000/v2/", "") as a reference's registry. Raises InvalidInput."""
    plain = (server.partition("://")[2] or server).partition("/")[0].strip()
    if not plain or plain in ("index.docker.io", "registry-1.docker.io", DEFAULT_DOMAIN):
        return DEFAULT_DOMAIN
    if not all(character.isalnum() or character in ".-:[]_" for character in plain):
        raise InvalidInput(f"not a registry: {server!r}", hint="give HOST[:PORT]", subject=server)
    return plain


def known_user(server: str) -> str:
    """Who is logged in, as far as config.json or its helper tells; "" for nobody."""
    found = CredentialStore().get(registry_name(server))
    return found.username or ("<token>" if found.identity_token else "")


def login(
    ctx: Context,
    server: str = "",
    *,
    username: str = "",
    password: str = "",
    cancel: CancelEvent | None = None,
    timing: Timing | None = None,
) -> str:
    """Try the password (without one: what is kept) and keep it; returns the file that it went to, "" when a
    helper or nobody keeps it. Raises Denied, Unavailable, InvalidInput."""
    domain = registry_name(server)
    store = CredentialStore()
    credentials = Credentials(username, password) if username else store.get(domain)
    if not credentials:
        raise InvalidInput("no user name was given", hint="tuidock login -u NAME --password-stdin")
    _try(ctx, domain, credentials, cancel, timing)
    return store.put(domain, credentials) if username else ""


def _try(
    ctx: Context, domain: str, credentials: Credentials, cancel: CancelEvent | None, timing: Timing | None
) -> None:
    failure: EngineError | None = None
    for endpoint in endpoints(domain, ctx.config, mirrors=False):
        try:
            with Transport(ctx.config, cancel=cancel, timing=timing) as transport:
                session = Session(transport, endpoint, credentials)
                session.ping()
                with session.ask("GET", f"{endpoint.url}/v2/", what=f"login to {domain}"):
                    return
        except (Temporary, WrongScheme) as error:
            if endpoint.verify or not endpoint.url.startswith("https:"):
                raise
            failure = error
        except Denied as error:
            raise Denied(
                f"cannot log in to {domain}: incorrect username or password",
                hint="some registries want a token instead of the password",
                subject=domain,
            ) from error
    assert failure is not None
    raise failure


def logout(server: str = "") -> bool:
    """Forget the password; False when there was none."""
    return CredentialStore().erase(registry_name(server))
