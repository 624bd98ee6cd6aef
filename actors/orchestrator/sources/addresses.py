"""Checks the addresses of endpoints: they are written to files and printed, so they may hold no secret."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from conf.faults import BadInput, Fault

ENDPOINT_QUERY = {"api-version"}
"""Keys that the query of an endpoint's address may have."""


def is_endpoint(path: str) -> bool:
    """Return True if a text is the address of an OpenAI-compatible endpoint, not a file."""
    return path.startswith(("http://", "https://"))


def checked_address(address: str, *, key: str, name: str, allowed: str, key_variable: str) -> SplitResult:
    """Return the parts of the address of an endpoint.

    Args:
        address: what the user gave.
        key: the flag that fault messages name.
        name: name of the arm or judge.
        allowed: what an address looks like.
        key_variable: the environment variable that the endpoint's key belongs in.

    Raises:
        BadInput: the address cannot be read, or may hold a secret.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  # raises if it is no number of a port
    except ValueError:
        raise BadInput(Fault(key, f"{name}=(an address that cannot be read)", allowed)) from None
    if parts.username or parts.password:
        step = f"Put the key into the environment variable {key_variable}."
        raise BadInput(Fault(key, f"{name}=(an address with a password)", "an address without one", step))
    _check_query(key, name, parts, key_variable)
    if "?" in parts.fragment:  # a query behind the model, which may hold a key
        shown = f"{name}={urlunsplit(parts._replace(fragment=''))}#{parts.fragment.partition('?')[0]}?***"
        raise BadInput(Fault(key, shown, "the name of a model behind #, and a query only before it"))
    if not address.isprintable() or " " in address:
        raise BadInput(Fault(key, f"{name}={address}", "an address without spaces and control characters"))
    if not parts.hostname or not is_endpoint(address):
        raise BadInput(Fault(key, f"{name}={address}", allowed))
    return parts


def _check_query(key: str, name: str, parts: SplitResult, key_variable: str) -> None:
    """Raise `BadInput` if the query of an address may hold a secret.

    Servers have many names for a key (`api_key`, `code`, `sig`, ...), so only names that never mean one are allowed.
    """
    if {field for field, _ in parse_qsl(parts.query, keep_blank_values=True)} <= ENDPOINT_QUERY:
        return
    got = f"{name}={parts.scheme}://{parts.netloc}{parts.path}?***"
    allowed = f"an address whose query has no other key than {' and '.join(sorted(ENDPOINT_QUERY))}"
    step = f"Put a key into the environment variable {key_variable}: addresses are written to files and printed."
    raise BadInput(Fault(key, got, allowed, step))
