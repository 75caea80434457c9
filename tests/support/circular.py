"""Containers that contain themselves."""


def _circular():
    of_list, of_dict, other = [1], {"a": 1}, {}
    of_list.append(of_list)
    of_dict["b"] = of_dict
    inner = []
    of_tuple = (inner, 1)
    inner.append(of_tuple)
    pair = {"other": other}
    other["pair"] = pair
    return {"list": of_list, "tuple": of_tuple, "dict": of_dict, "pair": pair}


CIRCULAR = _circular()
