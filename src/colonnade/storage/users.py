"""Users as people write them: a number, a name, or several of these.

Does not depend on: what a user is trusted with.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from typing import Any

from colonnade.errors import brief_repr
from colonnade.storage import paths


def user_numbers(users: int | str | Iterable[int | str]) -> frozenset[int]:
    """Give the numbers of users.

    Parameters
    ----------
    users : int, str, or iterable of these
        A number; a name or several with commas between them (``"alice,1001"``); or an iterable of numbers and names.

    Raises
    ------
    ValueError
        If there is no such user.
    """
    if isinstance(users, int) and not isinstance(users, bool):
        return frozenset([_checked(users)])
    if isinstance(users, str):
        return frozenset(_number(part.strip()) for part in users.split(",") if part.strip())
    several: list[Any] = list(users) if isinstance(users, Iterable) and not isinstance(users, bytes) else [None]
    if not all(isinstance(user, (int, str)) and not isinstance(user, bool) for user in several):
        raise ValueError(
            f"trust must be the number or the name of a user, or several of these, got {brief_repr(users)}"
        )
    return frozenset().union(*map(user_numbers, several))


def trusted_by_environment() -> frozenset[int]:
    """The users whom ``$COLONNADE_TRUST`` names.

    Raises
    ------
    ValueError
    """
    return user_numbers(os.environ.get(paths.TRUST_VARIABLE, ""))


def _number(user: str) -> int:
    if user.isdecimal():
        return _checked(int(user))
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ValueError(f"trust={user!r}: there is no user of this name") from None


def _checked(number: int) -> int:
    if not 0 <= number < 1 << 32:
        raise ValueError(f"trust={number}: a user's number is from 0 to 2**32 - 1")
    return number
