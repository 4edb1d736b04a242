"""URLs of stores: how they may be shown and kept, and where a relative one leads.

This is the only place that knows what in a URL is secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from lipbench.errors import UserError

STARS = "***"
# What of MLflow's own environment is secret.
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_URL = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*):/+(?P<rest>\S*)")
_WITHOUT_HOST = ("sqlite", "file")  # what follows is a path, in which : and @ are letters
_TOKEN = re.compile(r"[\w.-]{20,}")  # in a user's place; a user's name is shorter
_PARAMETER = re.compile(
    r"(?P<before>[?&;#\s'\"(,{]|^)(?P<name>[\w.%+-]+)(?P<is>['\"]?\s*[=:]\s*['\"]|=| = )",
    re.MULTILINE,
)
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase|code)?$|^pw$|pwd|secret|token|(api|access|private|account).?key"
    r"|credential|signature|^sig$|^sas$|^jwt$|^bearer$|^code$|^auth(orization)?$|^key$",
    re.IGNORECASE,
)
_PASSWORD_NAME = re.compile(r"^(ssl)?pass(word|wd|phrase)?$|^pwd$", re.IGNORECASE)  # of a DSN
_END = re.compile(r"[&\s]|$")
_QUOTED = re.compile(r"['\"]|$")
# What a parameter of a URI can be and hold no secret; of any other the value is starred.
_HARMLESS = frozenset(
    (
        *("application_name", "cache", "charset", "connect_timeout", "database", "dbname"),
        *("driver", "encoding", "host", "mode", "port", "service", "sslmode", "timeout", "uri"),
        *("user", "username"),
    )
)
_SHORTEST = 4  # letters of a secret that is starred wherever it stands alone
_PATH = re.compile(r"(?P<scheme>sqlite(?:\+\w+)?:///|file:(?://)?)(?P<path>[^/?][^?]*)")


def without_password(text: str) -> str:
    """Return a text whose URLs have stars in the place of passwords and tokens.

    A password reaches from the first colon to the last @, whatever it holds. Host, user and
    database stay. Parameters with a secret's name (`?password=`, `;token=`) are starred too.

    >>> without_password("--storage=postgresql://me:p@s/s@host/db?sslPassword=x&a=1")
    '--storage=postgresql://me:***@host/db?sslPassword=***&a=1'
    """
    for uri, known in _REMEMBERED.items():
        text = text.replace(uri, known.shown)
        for secret in known.secrets:
            text = text.replace(secret, STARS) if len(secret) >= _SHORTEST else text
    return _starred_parameters(_URL.sub(_starred, text))


@dataclass(frozen=True)
class _Uri:
    """A URI in the form in which it may be shown and kept, and what that leaves out."""

    shown: str
    secrets: tuple[str, ...]


_REMEMBERED: dict[str, _Uri] = {}


def remembered(uri: str) -> str:
    """Return a store's URI as it is; from now on nothing shows a secret of it.

    Where a text is known to be a URI, all that can be a secret in it is one: a password of any
    letters, spaces too, each parameter that is not known to be harmless, and the fragment.
    """
    _REMEMBERED[uri] = _taken_apart(uri)
    return uri


def masked(text: str, *uris: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a text without the secrets of some URIs and of the environment, however written.

    An error can repeat a password alone, decoded or encoded.
    """
    known = [environment.get(name, "") for name in _SECRET_VARIABLES]
    for secret in (*known, *(secret for uri in uris for secret in _taken_apart(uri).secrets)):
        forms = {form(secret) for form in (str, unquote, unquote_plus, quote, quote_plus)}
        for form in sorted(filter(None, forms), key=len, reverse=True):
            text = text.replace(form, STARS)
    return without_password(text)


def is_masked(uri: str) -> bool:
    """Return whether a URI has lost its password, so that nobody can connect with it."""
    return STARS in uri


def whole_tracking_uri(uri: str) -> str:
    """Return the URI of an MLflow store. Raises UserError where its password is missing."""
    if is_masked(uri):
        raise UserError(
            f"{uri}: passwords are not kept; give the whole URI: --tracking-uri URI, or the "
            "environment variable MLFLOW_TRACKING_URI"
        )
    return uri


def absolute(uri: str) -> str:
    """Return a URI whose file is the same from any folder; another stays as it is.

    >>> absolute("postgresql://host/db"), absolute("sqlite:////tmp/a.db")
    ('postgresql://host/db', 'sqlite:////tmp/a.db')
    """
    if found := _PATH.match(uri):
        path = found["path"]
        if path.startswith(":memory:"):
            return uri
        if path.startswith("file:"):  # SQLite's own form of a path
            return f"{found['scheme']}file:{os.path.abspath(path[5:])}{uri[found.end() :]}"
        scheme = "file://" if found["scheme"].startswith("file") else found["scheme"]
        return f"{scheme}{os.path.abspath(path)}{uri[found.end() :]}"
    is_path = "://" not in uri and not re.match(r"[a-zA-Z][\w+.-]+:", uri)
    return os.path.abspath(Path(uri).expanduser()) if is_path and uri != "databricks" else uri


def local_file(uri: str) -> Path | None:
    """Return the file of a local SQLite store, or None for another store."""
    prefix, found, path = uri.partition(":///")
    is_file = found and prefix.partition("+")[0] == "sqlite" and path
    return Path(path.partition("?")[0]) if is_file else None


def _starred(url: re.Match[str]) -> str:
    start = url[0][: url.start("rest") - url.start()]
    user, password, rest = _parts(url)
    return f"{start}{user}{STARS}@{rest}" if password else url[0]


def _parts(url: re.Match[str]) -> tuple[str, str, str]:
    """Return the user with its colon, the password, and all that follows; no password is ''."""
    rest = url["rest"]
    userinfo, at, following = rest.rpartition("@")
    if not at or url["scheme"].lower().partition("+")[0] in _WITHOUT_HOST:
        return "", "", rest
    user, colon, password = userinfo.partition(":")
    if colon and not re.search("[@/?#]", user):
        return f"{user}:", password, following
    alone, _, following = rest.partition("@")
    return ("", alone, following) if _TOKEN.fullmatch(alone) else ("", "", rest)


def _parameters(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the value of each parameter with a secret's name begins and ends."""
    position = 0
    for found in _PARAMETER.finditer(text):
        in_url = found["before"] in ("?", "&", ";", "#") and found["is"] == "="
        secret = _SECRET_NAME if in_url else _PASSWORD_NAME
        if found.start() >= position and secret.search(unquote(found["name"])):
            end = _QUOTED if found["is"][-1] in "'\"" else _END
            ending = end.search(text, found.end())
            position = ending.start() if ending else len(text)
            yield found.end(), position


def _starred_parameters(text: str) -> str:
    shown, position = "", 0
    for start, end in _parameters(text):
        shown += text[position:start] + STARS
        position = end
    return shown + text[position:]


def _taken_apart(uri: str) -> _Uri:
    """Return a URI without all that can be secret in it."""
    scheme, rest = _scheme(uri)
    secrets: list[str] = []
    userinfo, at, following = rest.rpartition("@")
    user, colon, password = userinfo.partition(":")
    dialect = scheme.lower().rstrip(":/")
    has_host = dialect.partition("+")[0] not in _WITHOUT_HOST or dialect.endswith("cipher")
    shown = ""
    if at and has_host and colon and not re.search("[@/?#]", user) and not _is_port(password):
        secrets.append(password)
        shown, rest = f"{user}:{STARS}@", following
    elif at and has_host and not re.search("[:/?#]", userinfo):
        alone = dialect.startswith("http") or _TOKEN.fullmatch(userinfo)
        secrets += [userinfo] if alone else []
        shown, rest = f"{STARS if alone else userinfo}@", following
    rest, hash_, fragment = rest.partition("#")
    place, mark, query = rest.partition("?")
    place, *parameters = re.split("(;)", place, maxsplit=1)
    shown += place
    for sign, text in ((parameters[0], parameters[1]) if parameters else ("", ""), (mark, query)):
        shown += sign + "".join(_harmless(part, secrets) for part in re.split("([&;])", text))
    if hash_:
        secrets.append(fragment)
        shown += f"#{STARS}"
    return _Uri(scheme + shown, tuple(filter(None, secrets)))


def _scheme(uri: str) -> tuple[str, str]:
    found = re.match(r"[a-zA-Z][\w+.-]*:/+", uri)
    return (found[0], uri[found.end() :]) if found else ("", uri)


def _is_port(text: str) -> bool:
    """Return whether what follows a colon is a host's port, and its @ stands in a parameter."""
    port, _, after = text.partition("/")
    return port.isdigit() and "?" in after


def _harmless(part: str, secrets: list[str]) -> str:
    """Return one `name=value` of a URI, starred unless it can be no secret."""
    name, equals, value = part.partition("=")
    if not equals or unquote(name).lower() in _HARMLESS:
        return part
    secrets.append(value)
    secrets += re.findall(r"(?:password|pwd)\s*=\s*([^;&\s]+)", unquote_plus(value), re.IGNORECASE)
    return f"{name}={STARS}"
