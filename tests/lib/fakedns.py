"""A name server that says what the test wants, by UDP and TCP.

DNS({"example.net": {"MX": "10 mx.example.net"},
     "mx.example.net": {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": "::1"},
     "sick.example": Rcode("SERVFAIL")})

A zone maps a name to its records by type, or to one behaviour for every
type; a behaviour may also stand for a type. A text is a record, a list
several; RR(text, ttl) one with a TTL of its own. ad=True: all answers are
authenticated (AD), but for Insecure(what a zone holds), and whatever a CNAME
leads from there. A name below "*." stands for
all names there are none for. Names not in the zone do not exist (NXDOMAIN
with a SOA), types not in it neither (no data, with a SOA). Names may hold
\\DDD escapes. What does not fit UDP is truncated and answered over TCP.

`questions` are all that were asked: Question(name, type, id, port, tcp, ...).
"""
import ipaddress
import re
import socket
import struct
import threading

from hesitation import LONGEST, hesitate

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15,
         "TXT": 16, "AAAA": 28, "OPT": 41, "TLSA": 52, "ANY": 255}
TYPE_NAMES = {n: t for t, n in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3,
          "NOTIMP": 4, "REFUSED": 5}
TTL = 300


# --- packets ---

def wire_name(text):
    """b"\\3www..." of a name in presentation format; labels may be long or
    hold anything, so that lies can be told."""
    if text in ("", "."):
        return b"\0"
    out, label = b"", b""
    for piece in re.findall(rb"\\\d\d\d|\\.|.", text.encode(), re.S):
        if piece == b".":
            out, label = out + bytes([len(label) & 0xff]) + label, b""
        elif piece[:1] == b"\\":
            label += bytes([int(piece[1:])]) if len(piece) == 4 else piece[1:]
        else:
            label += piece
    if label:
        out += bytes([len(label) & 0xff]) + label
    return out + b"\0"


def read_name(packet, at):
    labels = []
    for _ in range(128):
        n = packet[at]
        if n == 0:
            return ".".join(labels), at + 1
        labels.append(packet[at + 1:at + 1 + n].decode("latin-1"))
        at += 1 + n
    raise ValueError("a name without an end")


def wire_data(kind, text):
    """RDATA; bytes are taken as they are."""
    if isinstance(text, bytes):
        return text
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(text).packed
    if kind == "MX":
        preference, _, name = text.partition(" ")
        return struct.pack(">H", int(preference)) + wire_name(name)
    if kind in ("PTR", "CNAME", "NS"):
        return wire_name(text)
    if kind == "TXT":
        data = text.encode()
        return b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255]
                        for i in range(0, len(data) or 1, 255))
    if kind == "SOA":
        names, numbers = text.split(" ")[:2], text.split(" ")[2:]
        return b"".join(map(wire_name, names)) + \
            struct.pack(">5I", *map(int, numbers))
    if kind == "TLSA":
        numbers, data = text.split(" ")[:3], "".join(text.split(" ")[3:])
        return bytes(map(int, numbers)) + bytes.fromhex(data)
    raise ValueError(kind)


class RR:
    """One record. owner: of another name than the one asked for."""

    def __init__(self, data, ttl=TTL, kind=None, owner=None):
        self.data, self.ttl = data, ttl
        self.kind, self.owner = kind, owner

    def wire(self, owner, kind):
        kind = self.kind or kind
        data = wire_data(kind, self.data)
        return wire_name(self.owner or owner) + struct.pack(
            ">HHIH", TYPES[kind], 1, self.ttl & 0xffffffff, len(data)) + data


class Question:
    def __init__(self, packet, port=0, tcp=False):
        self.packet, self.port, self.tcp = packet, port, tcp
        self.id, self.flags = struct.unpack(">HH", packet[:4])
        self.written, at = read_name(packet, 12)
        self.name = self.written.lower()
        self.number = struct.unpack(">H", packet[at:at + 2])[0]
        self.type = TYPE_NAMES.get(self.number, str(self.number))
        self.section = packet[12:at + 4]
        rest = packet[at + 4:]
        # EDNS: the OPT record says how much fits.
        self.room = struct.unpack(">H", rest[3:5])[0] \
            if rest[:3] == b"\0\0\x29" else 512
        self.edns = rest[:3] == b"\0\0\x29"

    def __repr__(self):
        return f"{self.name} {self.type}{' tcp' if self.tcp else ''}"


def packet(q, answers=(), authority=(), rcode=0, flags=0x8580, counts=None,
           number=None, section=None):
    """An answer to q; the last arguments are for lies."""
    n = counts or (1, len(answers), len(authority), 0)
    return struct.pack(">HHHHHH", q.id if number is None else number,
                       flags | rcode, *n) + \
        (q.section if section is None else section) + \
        b"".join(answers) + b"".join(authority)


def soa(q, ttl=60):
    """Whose minimum tells how long a no is remembered."""
    zone = q.name.rsplit(".", 1)[-1]
    if not zone.isalnum():
        zone = ""
    return RR(f"ns.{zone} host.{zone} 1 3600 600 86400 {ttl}",
              ttl=ttl).wire(zone, "SOA")


# --- behaviours: answer(dns, q) returns a packet, several, or None ---

class Records:
    """These, in this order. case: the answer's owner is written so."""

    def __init__(self, *records, ttl=TTL, ad=False):
        self.records = [r if isinstance(r, RR) else RR(r, ttl)
                        for r in records]
        self.ad = ad

    def answer(self, dns, q):
        return packet(q, [r.wire(q.name, q.type) for r in self.records],
                      flags=0x8580 | (0x20 if self.ad else 0))


class Secure:
    """What a zone holds for a name, with AD."""

    def __init__(self, what):
        self.what = what

    def answer(self, dns, q):
        found = dns.behave(self.what, q)
        return found if dns.holds_insecure(self.what, q) else with_ad(found)


def with_ad(answer):
    """Of what has one of the codes that can be authenticated."""
    if isinstance(answer, (list, tuple)):
        return [with_ad(p) for p in answer]
    if not isinstance(answer, bytes) or len(answer) < 4 or \
            answer[3] & 15 not in (0, 3):
        return answer
    return answer[:3] + bytes([answer[3] | 0x20]) + answer[4:]


class Insecure:
    """The same without AD."""

    def __init__(self, what):
        self.what = what

    def answer(self, dns, q):
        return without_ad(dns.behave(self.what, q))


def bare(what):
    return what.what if isinstance(what, Insecure) else what


def without_ad(answer):
    if isinstance(answer, (list, tuple)):
        return [without_ad(p) for p in answer]
    if not isinstance(answer, bytes) or len(answer) < 4:
        return answer
    return answer[:3] + bytes([answer[3] & ~0x20]) + answer[4:]


class Rcode:
    def __init__(self, name):
        self.rcode = RCODES[name]

    def answer(self, dns, q):
        return packet(q, rcode=self.rcode)


class Nxdomain:
    def __init__(self, ttl=60):
        self.ttl = ttl

    def answer(self, dns, q):
        return packet(q, authority=[soa(q, self.ttl)], rcode=3)


class Nodata(Nxdomain):
    def answer(self, dns, q):
        return packet(q, authority=[soa(q, self.ttl)])


class Silent:
    """No answer at all."""

    def answer(self, dns, q):
        return None


class Late:
    """The answer, but only when the test calls release()."""

    def __init__(self, then):
        self.then = then
        self.gate = threading.Event()

    def release(self):
        self.gate.set()

    def answer(self, dns, q):
        def later(send):
            self.gate.wait()
            for p in packets(dns.behave(self.then, q)):
                send(p)
        return later


class RawAnswer:
    """These bytes behind the question's id; fn(q) makes the whole packet."""

    def __init__(self, data):
        self.data = data

    def answer(self, dns, q):
        if callable(self.data):
            return self.data(q)
        data = bytes.fromhex(self.data) if isinstance(self.data, str) \
            else self.data
        return struct.pack(">H", q.id) + data


class Exactly:
    """Exactly these bytes, the id too."""

    def __init__(self, data):
        self.data = data

    def answer(self, dns, q):
        return self.data


class Sequence:
    """One after the other, the last again and again."""

    def __init__(self, *behaviours):
        self.left = list(behaviours)
        self.lock = threading.Lock()

    def answer(self, dns, q):
        with self.lock:
            b = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return dns.behave(b, q)


class Forged:
    """Lies first, the truth behind them: wrong id, wrong question, from
    another port. `lie` is what the liar says."""

    def __init__(self, how, lie, truth):
        self.how, self.lie, self.truth = how, lie, truth

    def answer(self, dns, q):
        lies = packets(dns.behave(self.lie, q))
        truth = packets(dns.behave(self.truth, q))
        if q.tcp:
            return truth
        if self.how == "id":
            lies = [struct.pack(">H", (q.id + i + 1) & 0xffff) + p[2:]
                    for p in lies for i in range(50)]
        elif self.how == "question":
            lies = [p[:12] + wire_name("other." + q.name) +
                    p[12 + len(q.section) - 4:] for p in lies]
        elif self.how == "port":
            def both(send):
                with socket.socket(dns.family, socket.SOCK_DGRAM) as s:
                    s.bind((dns.address, 0))
                    for p in lies:
                        s.sendto(p, q.client)
                for p in truth:
                    send(p)
            return both
        return [*lies, *truth]


class Truncated:
    """TC by UDP; by TCP one of: "answers", "closes", "silent", "short" (the
    length says more than comes), "long" (less), "drips"."""

    def __init__(self, then, tcp="answers"):
        self.then, self.tcp = then, tcp

    def answer(self, dns, q):
        if not q.tcp:
            return packet(q, flags=0x8780)
        if self.tcp == "answers":
            return dns.behave(self.then, q)
        if self.tcp == "silent":
            return None
        (p,) = packets(dns.behave(self.then, q))
        return {"closes": Stream(b""),
                "short": Stream(struct.pack(">H", len(p) + 100) + p),
                "long": Stream(struct.pack(">H", len(p) - 8) + p),
                "drips": Stream(struct.pack(">H", len(p)) + p, step=1),
                }[self.tcp]


class Stream:
    """Bytes of a TCP connection, which then ends."""

    def __init__(self, data, step=0):
        self.data, self.step = data, step


class Forward:
    """What another server says (by UDP)."""

    def __init__(self, address, port):
        self.server = (address, port)

    def answer(self, dns, q):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.connect(self.server)
            s.send(q.packet)
            return s.recv(65535)


def packets(answer):
    if answer is None:
        return []
    return list(answer) if isinstance(answer, (list, tuple)) else [answer]


def reverse(address):
    """The name under which its PTR is."""
    return ipaddress.ip_address(address).reverse_pointer


def hosts(names):
    """A and PTR records for {name: address}, to be merged into a zone."""
    zone = {}
    for name, address in names.items():
        kind = "AAAA" if ":" in address else "A"
        zone[name] = {kind: address}
        zone[reverse(address)] = {"PTR": name}
    return zone


# --- the server ---

class DNS:
    """Answers from its making on; see the top of the file."""

    def __init__(self, zone=None, address=None, port=0, default=None,
                 tcp=True, ad=False):
        from postern import own_address
        self.zone, self.ad = {}, ad
        if ad:  # what is asked to learn whether we validate
            self.zone[""] = {"SOA": ". . 1 3600 600 86400 60", "NS": "ns"}
        self.add(zone or {})
        self.default = default
        self.broken = None
        self.changed = threading.Condition()
        self.questions = []
        self.address = address or own_address()
        self.family = socket.AF_INET6 if ":" in self.address \
            else socket.AF_INET
        self.open(port, tcp)
        threading.Thread(target=self.run_udp, daemon=True).start()
        if tcp:
            threading.Thread(target=self.run_tcp, daemon=True).start()

    def open(self, port, tcp):
        """UDP and TCP on one port that is free for both."""
        for _ in range(100):
            self.udp = socket.socket(self.family, socket.SOCK_DGRAM)
            self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.udp.bind((self.address, port))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket(self.family)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                if tcp:
                    self.tcp.bind((self.address, self.port))
                    self.tcp.listen(100)
                return
            except OSError:
                self.udp.close()
                self.tcp.close()
                if port:
                    raise
        raise OSError("no port that is free for UDP and TCP")

    def conf(self, options="timeout 3s"):
        """The line of postern.conf. Its time is not too short for an answer
        of a busy machine; a server is asked twice."""
        return f"resolver {self.address} port {self.port} {options}\n"

    def add(self, zone):
        for name, records in zone.items():
            self.zone[name.lower().rstrip(".")] = records

    def behave(self, what, q):
        """What a zone holds for a name, or a behaviour, as an answer."""
        if what is None:
            what = Nxdomain()
        if isinstance(what, dict):
            found = what.get(q.type, what.get("ANY"))
            if found is None and "CNAME" in what:
                return self.alias(bare(what["CNAME"]), q)
            what = Nodata() if found is None else found
        if isinstance(what, (str, bytes, RR)):
            what = [what]
        if isinstance(what, (list, tuple)):
            what = Records(*what)
        return what.answer(self, q)

    def alias(self, to, q):
        """A CNAME, with what is behind it as a full resolver would say."""
        if hasattr(to, "answer"):
            return to.answer(self, q)
        answers, name, behind = [], q.name, None
        while isinstance(to, str) and len(answers) < 40:
            answers.append(RR(to).wire(name, "CNAME"))
            name = to.lower()
            behind = bare(self.find(name))
            to = behind.get("CNAME") if isinstance(behind, dict) else None
        records = bare(behind.get(q.type)) if isinstance(behind, dict) \
            else None
        if hasattr(records, "answer") and not isinstance(records, RR):
            return records.answer(self, q)
        if isinstance(records, (str, RR)):
            records = [records]
        for r in records or ():
            r = r if isinstance(r, RR) else RR(r)
            answers.append(r.wire(name, q.type))
        return packet(q, answers, () if records else [soa(q)],
                      rcode=3 if behind is None else 0)

    def holds_insecure(self, what, q):
        """Is it, or what it leads to by CNAME, without AD?"""
        for _ in range(40):
            if isinstance(what, dict):
                found = what.get(q.type, what.get("ANY"))
                if found is not None or "CNAME" not in what:
                    return isinstance(found, Insecure)
                to = bare(what["CNAME"])
                if to is not what["CNAME"] or not isinstance(to, str):
                    return to is not what["CNAME"]
                what = self.find(to.lower())
            else:
                return isinstance(what, Insecure)
        return False

    def authenticated(self, what):
        """With AD, when this server says so of all it has itself."""
        return Secure(what) if self.ad else what

    def find(self, name):
        if name in self.zone:
            return self.zone[name]
        labels = name.split(".")
        for i in range(1, len(labels)):
            found = self.zone.get("*." + ".".join(labels[i:]))
            if found is not None:
                return found
        # A name above others is there, without records.
        if any(n.endswith("." + name) for n in list(self.zone)
               if len(self.zone) < 1000):
            return {}
        return self.default

    def answer(self, q):
        with self.changed:
            self.questions.append(q)
            self.changed.notify_all()
        hesitate()
        try:
            return self.behave(self.authenticated(self.find(q.name)), q)
        except Exception as e:  # the test's own mistake: close() tells
            self.broken = e
            return None

    def run_udp(self):
        while True:
            try:
                data, client = self.udp.recvfrom(65535)
                if client is None:  # closed
                    return
                q = Question(data, client[1])
            except OSError:
                return
            except (IndexError, ValueError, struct.error):
                continue
            q.client = client[:2]

            def send(p, client=client, q=q):
                if len(p) > max(q.room, 512) and len(p) > 12:
                    p = packet(q, flags=0x8780)
                try:
                    self.udp.sendto(p, client)
                except OSError:
                    pass
            if LONGEST:  # who hesitates holds up nobody else
                threading.Thread(target=self.serve_udp, args=(q, send),
                                 daemon=True).start()
            else:
                self.serve_udp(q, send)

    def serve_udp(self, q, send):
        found = self.answer(q)
        if callable(found):
            threading.Thread(target=found, args=(send,), daemon=True).start()
            return
        for p in packets(found):
            send(p)

    def run_tcp(self):
        while True:
            try:
                sock, client = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_tcp, args=(sock, client),
                             daemon=True).start()

    def serve_tcp(self, sock, client):
        def send(p):
            if isinstance(p, Stream):
                step = p.step or len(p.data) or 1
                for i in range(0, len(p.data), step):
                    sock.sendall(p.data[i:i + step])
                return False
            sock.sendall(struct.pack(">H", len(p)) + p)
            return True
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with sock, sock.makefile("rb") as f:
                while True:
                    head = f.read(2)
                    if len(head) < 2:
                        return
                    q = Question(f.read(struct.unpack(">H", head)[0]),
                                 client[1], True)
                    q.client = client[:2]
                    found = self.answer(q)
                    if callable(found):
                        found(send)
                    elif not all(send(p) for p in packets(found)):
                        return
        except (OSError, IndexError, ValueError, struct.error):
            pass

    # --- what was asked ---

    def asked(self, name=None, kind=None):
        with self.changed:
            return [q for q in self.questions
                    if (name is None or q.name == name.lower()) and
                    (kind is None or q.type == kind)]

    def wait_asked(self, name=None, kind=None, count=1):
        from postern import DEADLINE
        with self.changed:
            if not self.changed.wait_for(
                    lambda: sum((name is None or q.name == name.lower()) and
                                (kind is None or q.type == kind)
                                for q in self.questions) >= count, DEADLINE):
                raise AssertionError(
                    f"nobody asked for {name} {kind} {count} times; asked "
                    f"was {self.questions[-20:]}")

    def forget(self):
        with self.changed:
            self.questions.clear()

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        if self.broken:
            raise AssertionError("a behaviour that does not work") \
                from self.broken

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
