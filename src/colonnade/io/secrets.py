"""Texts of errors without the passwords that a URL or a connection string contains.

Does not depend on: which database or file system is asked.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_HIDDEN = "***"
# Before an @: user and password. A password may contain slashes and @ that are not quoted, so a part with a colon that
# is not a port's reaches to the last @.
_USER = re.compile(r"(://)(?:[^/\s'\"<>]*@|[^/\s'\"<>]*:(?!\d+(?:[/?\s]|$))[^\s'\"<>]*@)")
_WORDS = (
    r"pass(?:word|wd|phrase|file)?|pwd|\w*secret\w*|\w*token|\w*access_?key\w*|api_?key|account_?key|sig(?:nature)?"
    r"|\w*credential\w*"
)
_SETTING = re.compile(rf"(?i)\b({_WORDS})(\s*=\s*)('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^&;,\s'\"<>]+)")


def without_secrets(text: str, source: str = "") -> str:
    """Hide user and password of every URL in a text, and the values of settings such as ``password=``.

    ``source`` is a URL or a connection string whose secrets are hidden in the text also where they stand alone: a
    driver that takes a URL apart may name a part.
    """
    for part in _parts(source):
        text = text.replace(part, _HIDDEN)
    return _SETTING.sub(rf"\1\2{_HIDDEN}", _USER.sub(rf"\1{_HIDDEN}@", text))


def _parts(source: str) -> set[str]:
    users = [match[0].removeprefix("://") for match in _USER.finditer(source)]
    parts = {part for user in users for part in re.split("[:@/]", user)[1:]} | {
        match[3] for match in _SETTING.finditer(source)
    }
    return {part for part in parts | set(map(unquote, parts)) if len(part) >= _SHORTEST}


_SHORTEST = 3  # shorter parts are words of any message
