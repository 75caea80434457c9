"""Where arrays stand in memory."""


def address(array):
    return array.__array_interface__["data"][0]
