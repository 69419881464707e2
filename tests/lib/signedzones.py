"""Signed zones for real: nsd serves them, with a root of their own, unbound
validates below that root's key.

    with Signed({"good.test": Zone(records)}) as names:
        names.conf()     # the resolver lines of postern.conf
"""
import os
import re
import shutil
import socket
import subprocess
import tempfile

from fakedns import wire_name
from nsd import Nsd, question
from postern import Skip, own_address, wait_until
from realmilters import Real

PROGRAMS = ("/usr/bin/ldns-keygen", "/usr/bin/ldns-signzone",
            "/usr/sbin/unbound")


class Zone:
    """text: its records. signed=False: without a DS above it; dates: of its
    signatures; strip: types whose signatures are taken out; lie: a type whose
    data is changed behind the signer's back."""

    def __init__(self, text, signed=True, dates=None, strip=(), lie=None):
        self.text, self.signed, self.dates = text, signed, dates
        self.strip, self.lie = strip, lie


def tool(*argv, cwd):
    p = subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    if p.returncode:
        raise AssertionError(f"{argv}: {p.stdout.decode()}")
    return p.stdout.decode()


def file_of(zone):
    return "root" if zone == "." else zone


def full(zone):
    return zone if zone == "." else zone + "."


class SignedNsd(Nsd):
    """zones: {name: Zone}; a root above them comes by itself."""

    def __init__(self, zones, address):
        for program in PROGRAMS:
            if not os.path.exists(program):
                raise Skip(f"{program} is not installed (make interop does)")
        self.parts = dict(zones)
        self.keys = tempfile.mkdtemp(prefix="postern-keys-")
        self.ds = {}
        # The root comes last: it names the keys of the others.
        super().__init__({**{z: z for z in zones}, ".": "."}, address)

    def write_conf(self):
        super().write_conf()
        path = f"{self.dir}/nsd.conf"
        with open(path) as f:
            text = f.read().replace('zonefile: "..zone"',
                                    'zonefile: "root.zone"')
        with open(path, "w") as f:
            f.write(text)

    def write_zone(self, zone, _):
        if zone == ".":
            text = "".join(
                f"{full(z)}\tNS\tns.{z}.\nns.{z}.\tA\t{self.address}\n" +
                self.ds.get(z, "") for z in self.parts)
            part = Zone(text)
        else:
            part = self.parts[zone]
            text = part.text
        below = "" if zone == "." else f"{zone}."
        name = f"ns.{below}"
        path = f"{self.dir}/{file_of(zone)}.zone"
        with open(path, "w") as f:
            f.write(f"$ORIGIN {full(zone)}\n$TTL 300\n"
                    f"@\tSOA\t{name} hostmaster.{below} 1 3600 600 "
                    f"86400 60\n@\tNS\t{name}\n"
                    f"{name}\tA\t{self.address}\n{text}\n")
        if part.signed:
            self.sign(zone, part, path)

    def sign(self, zone, part, path):
        base = tool("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", full(zone),
                    cwd=self.keys).strip()
        out = f"{path}.signed"
        # No date: from now on, for four weeks.
        dates = ["-i", part.dates[0], "-e", part.dates[1]] if part.dates \
            else []
        tool("ldns-signzone", *dates, "-o", full(zone), "-f", out, path,
             f"{self.keys}/{base}", cwd=self.keys)
        with open(out) as f:
            text = f.read()
        for kind in part.strip:
            text = re.sub(rf"(?m)^\S+\s+\d+\s+IN\s+RRSIG\s+{kind}\s.*\n", "",
                          text)
        if part.lie:
            text = part.lie(text)
        with open(path, "w") as f:
            f.write(text)
        with open(f"{self.keys}/{base}.ds") as f:
            self.ds[zone] = f.read()
        if zone == ".":
            self.anchor = f"{self.keys}/{base}.key"

    def close(self):
        super().close()
        shutil.rmtree(self.keys, ignore_errors=True)


class Unbound(Real):
    """Asks that nsd alone. validates=False: as one that does not."""
    programs = ("/usr/sbin/unbound",)

    def __init__(self, nsd, validates=True):
        self.nsd, self.validates = nsd, validates
        self.address = own_address(5 if validates else 4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((self.address, 0))
            self.port = s.getsockname()[1]
        super().__init__()

    def start(self):
        shutil.copy(self.nsd.anchor, self.path("root.key"))
        os.chmod(self.path("root.key"), 0o644)
        stubs = "".join(
            f'stub-zone:\n  name: "{full(z)}"\n'
            f"  stub-addr: {self.nsd.address}@{self.nsd.port}\n"
            for z in self.nsd.zones)
        modules = "validator iterator" if self.validates else "iterator"
        conf = self.write("unbound.conf", f"""
server:
  interface: {self.address}@{self.port}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 1
  val-log-level: 2
  username: ""
  chroot: ""
  directory: "$D"
  pidfile: "$D/pid"
  num-threads: 1
  do-ip6: no
  do-not-query-localhost: no
  module-config: "{modules}"
  trust-anchor-file: "$D/root.key"
  target-fetch-policy: "0 0 0 0 0"
  local-zone: "test." nodefault
  local-zone: "127.in-addr.arpa." nodefault
remote-control:
  control-enable: no
{stubs}""")
        self.proc = self.run("/usr/sbin/unbound", "-d", "-c", conf)
        wait_until(self.answers, "unbound")
        return ""

    def answers(self):
        if self.proc.poll() is not None:
            raise AssertionError("unbound ended")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            try:
                s.connect((self.address, self.port))
                s.send(question("."))
                return s.recv(4096)[3] & 15 == 0
            except OSError:
                return False

    def ask(self, name, kind):
        """(rcode, AD) of an answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.connect((self.address, self.port))
            packet = question(name, kind.to_bytes(2, "big"))
            # AD in the question: tell me.
            s.send(packet[:3] + bytes([packet[3] | 0x20]) + packet[4:])
            answer = s.recv(4096)
            assert wire_name(name) in answer, answer
            return answer[3] & 15, bool(answer[3] & 0x20)

    def conf(self):
        return f"resolver {self.address} port {self.port} timeout 10s " \
            "trust-ad\n"


class Signed:
    """nsd and unbound over it; plain: another unbound, that does not
    validate."""

    def __init__(self, zones, plain=False):
        self.nsd = SignedNsd(zones, own_address(7))
        try:
            self.unbound = Unbound(self.nsd, not plain)
        except BaseException:
            self.nsd.close()
            raise

    def conf(self, options=""):
        return self.unbound.conf()

    def close(self):
        self.unbound.close()
        self.nsd.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.unbound.show()
        self.close()
