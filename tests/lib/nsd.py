"""nsd, as Debian has it, on a port of its own, with the zones of a test."""
import os
import shutil
import socket
import subprocess
import tempfile

from fakedns import DNS, Forward, Question, wire_name
from postern import PEERS, Skip, own_address, wait_until


def question(name, kind=b"\0\x06", number=1):
    return number.to_bytes(2, "big") + b"\1\0\0\1" + b"\0" * 6 + \
        wire_name(name) + kind + b"\0\1"


class Nsd:
    """zones: {name: text of the zone file behind the SOA and NS}."""

    def __init__(self, zones, address=None):
        self.program = f"{PEERS}/bin/nsd"
        if not os.path.exists(self.program):
            raise Skip("tests/fetch nsd did not run")
        self.address = address or own_address(7)
        self.dir = tempfile.mkdtemp(prefix="postern-nsd-")
        self.zones = list(zones)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((self.address, 0))
            self.port = s.getsockname()[1]
        self.write_conf()
        for zone, text in zones.items():
            self.write_zone(zone, text)
        self.proc = subprocess.Popen(
            [self.program, "-d", "-c", f"{self.dir}/nsd.conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT, start_new_session=True)
        wait_until(self.answers, "nsd")

    def write_conf(self):
        with open(f"{self.dir}/nsd.conf", "w") as f:
            f.write(f'''server:
	ip-address: {self.address}@{self.port}
	server-count: 1
	username: ""
	chroot: ""
	database: ""
	pidfile: ""
	zonesdir: "{self.dir}"
	logfile: "{self.dir}/log"
	xfrdfile: "{self.dir}/xfrd.state"
	zonelistfile: "{self.dir}/zone.list"
	xfrdir: "{self.dir}"
	rrl-ratelimit: 0
remote-control:
	control-enable: no
''')
            for zone in self.zones:
                f.write(f'zone:\n\tname: "{zone}"\n'
                        f'\tzonefile: "{zone}.zone"\n')

    def write_zone(self, zone, text):
        with open(f"{self.dir}/{zone}.zone", "w") as f:
            f.write(f'''$ORIGIN {zone}.
$TTL 300
@	SOA	ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60
@	NS	ns.{zone}.
{text}
''')

    def answers(self):
        if self.proc.poll() is not None:
            with open(f"{self.dir}/log") as f:
                raise AssertionError("nsd ended: " + f.read())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            try:
                s.connect((self.address, self.port))
                s.send(question(self.zones[0]))
                return s.recv(512)[3] & 15 == 0
            except OSError:
                return False

    def close(self):
        self.proc.terminate()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def front(self, note, address=None):
        """A server that asks this one and tells what it was asked:
        note(question, answer packet)."""
        return DNS(default=Noted(Forward(self.address, self.port), note),
                   address=address)


class Noted:
    def __init__(self, then, note):
        self.then, self.note = then, note

    def answer(self, dns, q):
        found = self.then.answer(dns, q)
        self.note(q, found)
        return found


def read_answers(packet):
    """[(type, text)] of the answer section, for a reader's eyes."""
    q = Question(packet)
    at = 12 + len(q.section)
    found = []
    for _ in range(int.from_bytes(packet[6:8], "big")):
        _, at = name_at(packet, at)
        kind = int.from_bytes(packet[at:at + 2], "big")
        n = int.from_bytes(packet[at + 8:at + 10], "big")
        at += 10
        found.append(data_text(packet, at, n, kind))
        at += n
    return found


def data_text(packet, at, n, kind):
    data = packet[at:at + n]
    if kind == 1:
        return "A " + socket.inet_ntop(socket.AF_INET, data)
    if kind == 28:
        return "AAAA " + socket.inet_ntop(socket.AF_INET6, data)
    if kind == 15:
        return f"MX {int.from_bytes(data[:2], 'big')} " + \
            name_at(packet, at + 2)[0]
    if kind in (2, 5, 12):
        return {2: "NS ", 5: "CNAME ", 12: "PTR "}[kind] + \
            name_at(packet, at)[0]
    return f"type {kind}"


def name_at(packet, at):
    """A name that may be compressed (nsd does), and where it ends."""
    labels, end = [], None
    while packet[at]:
        if packet[at] & 0xc0:
            end = end or at + 2
            at = int.from_bytes(packet[at:at + 2], "big") & 0x3fff
            continue
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels), end or at + 1
