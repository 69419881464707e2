#!/usr/bin/python3
"""The configurations of etc/: each is good as it stands, and does what its
comments say. Only where things lie is changed: addresses of other machines,
ports, folders, users. Clients have the addresses of the sample by the PROXY
protocol, since this machine is `local'."""
import os
import shutil
import sys
import tempfile
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403
from filtered import *  # noqa: E402,F401,F403
from fakemilter import add_header  # noqa: E402
from secured import *  # noqa: E402,F401,F403


STRANGER = "198.51.100.7"


class Sample(Gateway):
    """etc/postern-NAME.conf. macros: {name: value} of those at its top;
    edits: what is replaced, and has to be there. zone: of its name server."""

    def __init__(self, name, macros=None, edits=(), zone=None):
        super().__init__("", listen=False, names=False)
        with open(f"{TOP}/etc/{name}.conf") as f:
            text = f.read()
        self.dns = DNS(zone or {})
        self.ports = {}
        for old, new in edits:
            assert old in text, f"{name}: no {old!r}"
            text = text.replace(old, new)
        for macro, value in (macros or {}).items():
            text, n = re.subn(rf'^({macro} *= *)".*?"', rf'\1"{value}"', text,
                              flags=re.M)
            equal(n, 1, f"{name}: macro {macro}")
        text = self.moved(text)
        text = re.sub(r"^resolver .*\n", "", text, flags=re.M) + \
            self.dns.conf("timeout 5s trust-ad")
        self.conf_text = text
        self.write_conf()

    def moved(self, text):
        """To folders, ports and users that a test has."""
        text = re.sub(r"^spool .*", f'spool "{self.dir}/spool"', text,
                      flags=re.M)
        text = re.sub(r"^control .*", f'control "{self.control}"', text,
                      flags=re.M)
        text = re.sub(r"^log .*", "log stderr", text, flags=re.M)
        text = re.sub(r"^(fetch-user|dial-group) .*\n", "", text, flags=re.M)
        users = 'user "nobody" queue-user "daemon"' if ROOT else ""
        text = re.sub(r'^user .*', users, text, flags=re.M)
        text = re.sub(r"^listen on :: .*\n", "", text, flags=re.M)

        def listen(m):
            port = free_port(self.address)
            self.ports.setdefault(m.group(2), port)
            where = m.group(1) if "$" in m.group(1) else self.address
            return f"listen on {where} port {port}" + \
                f"{m.group(3)} proxy-protocol from {{ {self.address} }}"
        return re.sub(r"^listen on (\S+) port (\d+)(.*)$", listen, text,
                      flags=re.M)

    def caller(self, source, port="25", **kw):
        """A client from there."""
        return TlsClient(self.address, self.ports[port], source=self.address,
                         before=proxy_v1(source), **kw)

    def try_one(self, source, to, **kw):
        with self.caller(source, helo="c.example", **kw) as c:
            c.want("MAIL FROM:<a@c.example>", 250)
            return c.cmd(f"RCPT TO:<{to}>")

    def pass_one(self, source, to, token, **kw):
        with self.caller(source, helo="c.example", **kw) as c:
            queued_id(c.mail("a@c.example", to, letter(token)))


def clean(gw):
    """posternd -n has nothing to say."""
    p = subprocess.run(gw.command("-n"), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=DEADLINE)
    equal(p.stdout.decode(), "configuration OK\n", "posternd -n")


def tokens(mx, n):
    return sorted(token_of(m.data) for m in mx.wait(n))


@test
def as_they_stand():
    """What they need besides: certificates and passwords, by -D."""
    import glob
    names = sorted(glob.glob(f"{TOP}/etc/*.conf"))
    assert len(names) >= 6, names
    folder = tempfile.mkdtemp(prefix="postern-etc-")
    for kind in ("ec", "rsa"):
        ca().cert("mx1.example.com",
                  kind="rsa" if kind == "rsa" else "ecdsa").copy_to(
                      folder, f"mx1-{kind}")
    for name, line in (("accounts", "luke " + hashed("force", "sha512")),
                       ("credentials", "hub luke:force")):
        with open(f"{folder}/{name}", "w") as f:
            f.write(line + "\n")
        os.chmod(f"{folder}/{name}", 0o600)
    for path in names:
        p = subprocess.run(
            [f"{BUILD}/posternd", "-n", "-D", f"certs={folder}",
             "-D", f"accounts={folder}/accounts",
             "-D", f"credentials={folder}/credentials", "-f", path],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=DEADLINE)
        equal(p.stdout.decode(), "configuration OK\n", path)
    shutil.rmtree(folder)


@test
def in_front_of_a_server():
    inside, outside = MX(), MX()
    with Sample("postern", {"inside": inside.hop,
                            "outside": outside.hop}) as gw:
        clean(gw)
        gw.pass_one(STRANGER, "x@example.com", "in")
        gw.pass_one(STRANGER, "x@example.net", "in-too")
        equal(gw.try_one(STRANGER, "x@elsewhere.example")[0], 550, "relay")
        gw.pass_one("10.0.0.5", "x@elsewhere.example", "out")
        equal(tokens(inside, 2), ["in", "in-too"], "inside")
        equal(tokens(outside, 1), ["out"], "outside")
        gw.wait_empty()
    inside.close()
    outside.close()


@test
def outbound_relay():
    home, far = MX(), MX(address=own_address(3))
    with Sample("postern-outbound", {"mailboxes": home.hop,
                                     "door": own_address(),
                                     "source": own_address(4)},
                [("action out relay tls", f"action out relay port {far.port} "
                  "tls")],
                {"far.example": {"MX": "10 mx.far.example"},
                 "mx.far.example": {"A": own_address(3)}}) as gw:
        clean(gw)
        gw.pass_one("10.3.2.1", "x@far.example", "far")
        gw.pass_one("10.3.2.1", "x@example.com", "home")
        with gw.caller(STRANGER) as c:
            equal(c.greeting[0], 554, "the outside")
        # This machine, by the submit socket.
        gw.ctl("send", "-f", "root@example.com", "y@far.example",
               stdin=letter("local"), check=0)
        equal(tokens(far, 2), ["far", "local"], "by MX")
        equal(tokens(home, 1), ["home"], "our own")
        gw.wait_empty()
    home.close()
    far.close()


@test
def smart_host():
    hub = MX(tls=ca().cert("hub.example.net"), auth={"luke": "force"})
    folder = tempfile.mkdtemp(prefix="postern-etc-")
    with open(f"{folder}/credentials", "w") as f:
        f.write("hub luke:force\n")
    os.chmod(f"{folder}/credentials", 0o600)
    with Sample("postern-smarthost",
                {"hub": f"smtp+tls://hub.example.net:{hub.port}",
                 "credentials": f"{folder}/credentials"},
                # As its comment says.
                [("# --- the door", f'ca "{ca().root}"\n# --- the door')],
                {"hub.example.net": {"A": hub.address}}) as gw:
        clean(gw)
        gw.pass_one("10.200.0.1", "x@far.example", "net")
        equal(gw.try_one(STRANGER, "x@far.example")[0], 550, "relay")
        gw.ctl("send", "-f", "root@example.com", "y@far.example",
               stdin=letter("local"), check=0)
        equal(tokens(hub, 2), ["local", "net"], "by the hub")
        equal([m.auth for m in hub.wait(2)], ["luke"] * 2, "logged in")
        hub.nothing_in_clear()
        gw.wait_empty()
    shutil.rmtree(folder)
    hub.close()


@test
def filters():
    inside, far = MX(), MX(address=own_address(3))
    scanner, spam = Filter(), Filter()
    signer = Filter({"eom": add_header("DKIM-Signature", "v=1; b=x") +
                     CONTINUE})
    with Sample("postern-filters", {"inside": inside.hop},
                [("inet:11332@127.0.0.1", spam.spec),
                 ("unix:/run/clamav/clamav-milter.ctl", scanner.spec),
                 ("local:/run/opendkim/opendkim.sock", signer.spec),
                 ("action out relay ttl", f"action out relay port {far.port} "
                  "ttl")],
                {"far.example": {"MX": "10 mx.far.example"},
                 "mx.far.example": {"A": own_address(3)}}) as gw:
        clean(gw)
        gw.pass_one(STRANGER, "x@example.com", "in")
        equal(tokens(inside, 1), ["in"], "in")
        equal([len(f.seen("eom")) for f in (scanner, spam, signer)],
              [1, 1, 1], "all were asked")
        gw.pass_one("10.0.0.77", "x@far.example", "out")
        mail = far.wait(1)[0]
        match(mail.data, rb"\r\nDKIM-Signature: v=1; b=x\r\n", "signed")
        equal([len(f.seen("eom")) for f in (scanner, spam, signer)],
              [2, 1, 2], "spam filter was not asked")
        gw.pass_one(STRANGER, "abuse@example.com", "abuse")
        equal(tokens(inside, 2), ["abuse", "in"], "complaints")
        equal([len(f.seen("eom")) for f in (scanner, spam, signer)],
              [3, 1, 2], "the scanner alone")
        equal(gw.try_one(STRANGER, "x@far.example")[0], 550, "relay")
        gw.wait_empty()
    for x in (inside, far, scanner, spam, signer):
        x.close()


@test
def mailboxes_by_lmtp():
    folder = tempfile.mkdtemp(prefix="postern-etc-")
    os.chmod(folder, 0o755)
    box = MX(lmtp=True, unix=f"{folder}/lmtp")
    far = MX(address=own_address(3))
    with Sample("postern-lmtp", {"mailboxes": f"unix:{folder}/lmtp"},
                [("action out relay tls", f"action out relay port {far.port} "
                  "tls")],
                {"far.example": {"MX": "10 mx.far.example"},
                 "mx.far.example": {"A": own_address(3)}}) as gw:
        clean(gw)
        gw.pass_one(STRANGER, "x@example.com", "in")
        equal(tokens(box, 1), ["in"], "mailbox")
        equal(gw.try_one(STRANGER, "x@far.example")[0], 550, "relay")
        gw.ctl("send", "-f", "root@example.com", "y@far.example",
               stdin=letter("local"), check=0)
        equal(tokens(far, 1), ["local"], "out")
        gw.wait_empty()
    box.close()
    far.close()
    shutil.rmtree(folder)


@test
def front_door():
    inside, far = MX(), MX(address=own_address(3))
    folder = tempfile.mkdtemp(prefix="postern-etc-")
    for kind in ("ec", "rsa"):
        ca().cert("mx1.example.com",
                  kind="rsa" if kind == "rsa" else "ecdsa").copy_to(
                      folder, f"mx1-{kind}")
    with open(f"{folder}/accounts", "w") as f:
        f.write("luke " + hashed("force", "sha512") + "\n")
    os.chmod(f"{folder}/accounts", 0o600)
    bad = "203.0.113.9"
    with Sample("postern-submission",
                {"inside": inside.hop, "certs": folder,
                 "accounts": f"{folder}/accounts"},
                [("action out relay", f"action out relay port {far.port}")],
                {"far.example": {"MX": "10 mx.far.example"},
                 "mx.far.example": {"A": own_address(3)},
                 "9.113.0.203.zen.spamhaus.org": {"A": "127.0.0.2"}}) as gw:
        clean(gw)
        gw.pass_one(STRANGER, "x@example.com", "in")
        equal(tokens(inside, 1), ["in"], "inside")
        equal(gw.try_one(STRANGER, "x@far.example")[0], 550, "relay")
        match(gw.try_one(bad, "x@example.com"), "on a DNS list", "listed")
        trust = context(ca())
        with gw.caller(STRANGER, "587", helo="c.example") as c:
            c.starttls(trust, "mx1.example.com", helo="c.example")
            c.want("MAIL FROM:<a@c.example>", 250)
            equal(c.cmd("RCPT TO:<x@example.com>")[0], 530, "no AUTH")
            c.want("RSET", 250)
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 235, "AUTH")
            queued_id(c.mail("luke@example.com", "x@far.example",
                             letter("587")))
        with gw.caller(STRANGER, "465", smtps=True, ctx=trust,
                       name="mx1.example.com", helo="c.example") as c:
            equal(with_auth(c, "PLAIN", "luke", "force")[0], 235, "AUTH")
            queued_id(c.mail("luke@example.com", "x@far.example",
                             letter("465")))
        equal(tokens(far, 2), ["465", "587"], "by MX")
        gw.wait_empty()
    inside.close()
    far.close()
    shutil.rmtree(folder)


main()
