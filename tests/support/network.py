"""Hosts with a network between them: each is a network, mount and UTS namespace, joined to the others by a bridge.

Does not depend on: what the hosts do.

A host has an address of its own, a `/dev/shm` of its own, and a name. Nothing of it is outside of the namespaces, which
end with the processes that hold them; these end with the process that made them, however it ends.
"""

import contextlib
import subprocess

from support.hosts import Host

_HOLD = "exec cat"  # until its standard input is closed
_OWN = "mount -t tmpfs -o size={size} none /dev/shm && hostname {name} && ip link set lo up && echo ready && " + _HOLD


class Machine:
    """One host of a network."""

    def __init__(self, number, size):
        self.name, self.address = f"host-{number}", f"10.77.{number // 250}.{number % 250 + 1}"
        self._holder = _hold(["--net", "--mount", "--uts"], _OWN.format(size=size, name=self.name))
        self.prefix = ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", "--uts", "--"]

    @property
    def pid(self):
        """The process that holds its namespaces."""
        return self._holder.pid

    def do(self, command):
        """Run a command of a shell there."""
        subprocess.run([*self.prefix, "sh", "-ec", command], check=True, capture_output=True, text=True)

    def limit(self, rate):
        """Limit what the host sends to so many bytes in a second."""
        self.do(f"tc qdisc replace dev eth0 root tbf rate {int(rate)}bps burst 128kb latency 200ms")

    def unplug(self):
        """Take the host's link down, so that packets to and from it are lost."""
        self.do("ip link set eth0 down")

    def plug_in(self):
        """Put its link up again."""
        self.do("ip link set eth0 up")

    def serve(self, store, *options, **variables):
        """Serve a store of this host at its address: a `Host`."""
        return Host(store, "--host", self.address, "--insecure", *options, prefix=self.prefix, **variables)

    def close(self):
        """End it."""
        _release(self._holder)


class Network:
    """So many hosts, each connected to all others. A context manager.

    ``rate``: the bytes that each can send in a second.
    """

    def __init__(self, count, *, rate=None, size="256m"):
        self._switch = _hold(["--net"], f"ip link add br0 type bridge && ip link set br0 up && echo ready && {_HOLD}")
        self.machines = []
        try:
            for number in range(count):
                machine = Machine(number, size)
                self.machines.append(machine)
                self._connect(machine, number)
                if rate is not None:
                    machine.limit(rate)
        except BaseException:
            self.close()
            raise

    def _connect(self, machine, number):
        subprocess.run(
            f"ip link add eth0 netns {machine.pid} type veth peer name p{number} netns {self._switch.pid}".split(),
            check=True,
        )
        machine.do(f"ip addr add {machine.address}/16 dev eth0 && ip link set eth0 up")
        inside = ["nsenter", f"--target={self._switch.pid}", "--net", "--", "ip", "link", "set", f"p{number}"]
        subprocess.run([*inside, "master", "br0", "up"], check=True)

    def close(self):
        """End all of it."""
        for machine in self.machines:
            machine.close()
        _release(self._switch)

    def __enter__(self):
        return self.machines

    def __exit__(self, *_):
        self.close()


def _hold(namespaces, command):
    process = subprocess.Popen(
        ["unshare", *namespaces, "sh", "-ec", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if process.stdout.readline() != "ready\n":
        process.communicate()
        raise OSError("a namespace cannot be made")
    return process


def _release(process):
    with contextlib.suppress(OSError):
        process.stdin.close()
    process.wait()
    process.stdout.close()
