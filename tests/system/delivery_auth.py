#!/usr/bin/python3
"""AUTH at a smart host: who logs in where, with what, and that no password
goes anywhere else."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403

SECRET = "correct horse 7\u00e4 battery:staple"
TABLE = 'table creds file "$dir/creds"\n'


def hub(**kw):
    return MX(tls=ca().cert("hub.example"),
              auth={"luke": SECRET, "leia": "alderaan"}, **kw)


class Login(Sending):
    """creds: {label: "user:password"}."""

    def __init__(self, words="", creds=None, before="", **kw):
        self.creds = creds or {"hub": f"luke:{SECRET}"}
        kw.setdefault("scheme", "smtp+tls")
        super().__init__(f'{words} auth creds label "hub"',
                         before=TABLE + before, **kw)

    def _make_folders(self):
        super()._make_folders()
        self.write_creds()

    def write_creds(self):
        path = f"{self.dir}/creds"
        with open(path, "w") as f:
            for label, value in self.creds.items():
                f.write(f"{label} {value}\n")
        os.chmod(path, 0o600)

    def silent(self):
        """Not a word of a password in the log."""
        with self.changed:
            text = "\n".join(self.lines)
        for value in self.creds.values():
            user, _, password = value.partition(":")
            for form in (password, b64(password), b64(
                    f"\0{user}\0{password}")):
                assert form not in text, "a password in the log"


def refused_by(mx, pattern="", **kw):
    with Login(hub=mx, **kw) as gw:
        gw.goes("deferred", pattern)
        mx.wait_ended()
        equal(mx.mails(), [], "mails")
        mx.nothing_in_clear()
        gw.silent()


@test
def plain_and_login():
    for words in ("PLAIN LOGIN", "PLAIN", "LOGIN", "login",
                  "CRAM-MD5 SCRAM-SHA-256 LOGIN PLAIN"):
        mx = hub()
        mx.auth_words = words
        with Login(hub=mx) as gw:
            gw.goes("delivered")
            equal(mx.wait()[0].auth, "luke", words)
            equal(len(mx.said("auth")), 1, "attempts")
            first = "login" if "PLAIN" not in words else "plain"
            equal(mx.said("auth")[0].split()[0].lower(), first, words)
            equal(mx.said("credentials"), [f"luke:{SECRET}"], words)
            mx.nothing_in_clear()
            gw.silent()


@test
def odd_passwords():
    for password in ("x", "p" * 200, "with spaces  two", ":", "a:b:c",
                     "\u043f\u0430\u0440\u043e\u043b\u044c", "\\\"%{rcpt}"):
        mx = MX(tls=ca().cert("hub.example"), auth={"luke": password})
        with Login(creds={"hub": f"luke:{password}"}, hub=mx) as gw:
            gw.goes("delivered")
            equal(mx.wait()[0].auth, "luke", password)


@test
def once_for_each_connection():
    mx = hub()
    with Login(conf="deliver messages-per-connection 5 idle-timeout 1h\n"
               "workers delivery 1\n", hub=mx) as gw:
        for n in range(10):
            gw.goes("delivered")
            mx.wait(n + 1)
        equal({m.auth for m in mx.mails()}, {"luke"}, "users")
        equal(len(mx.said("auth")), mx.total, "AUTH")
        assert mx.total < 10, mx.total


@test
def never_in_the_clear():
    """No STARTTLS, one that fails, one that somebody has written behind."""
    words = {"auth": {"luke": SECRET}}
    for mx in (MX(**words), MX(tls=ca().cert("hub.example"), **words, faults={
            "starttls": Reply("454 4.7.0 not now")}),
            MX(tls=ca().cert("hub.example"), **words, faults={
                "handshake": Garble()}),
            MX(tls=ca().cert("hub.example"), **words, faults={
                "starttls": Raw(b"220 go\r\n250 AUTH PLAIN\r\n")})):
        refused_by(mx, r"4\.\d\.\d")
    # Nor to somebody else who has TLS.
    for cert in (ca().cert("other.example"), ca().self_signed("hub.example")):
        refused_by(MX(tls=cert, **words), r"4\.7\.5", words="tls require")


@test
def loopback_without_tls():
    """What smtp+notls says is meant, here."""
    mx = MX(auth={"luke": SECRET})
    with Login(mxs={mx.address: mx}, scheme="smtp+notls") as gw:
        gw.goes("delivered")
        equal(mx.mails()[0].auth, "luke", "user")


@test
def where_it_could_be_in_the_clear():
    """That is an error of the configuration."""
    mx = MX(auth={"luke": SECRET})
    for words, scheme in (("", "smtp"), ("tls opportunistic", "smtp"),
                          ("", "smtp+notls")):
        gw = Login(words, hub=mx, scheme=scheme)
        wrong(gw, rb"could go in the clear")


@test
def a_label_that_is_not_there():
    wrong(Login(creds={"other": "luke:force"}, hub=hub()), rb"has no `hub'")


def wrong(gw, why):
    """It does not start, and says so."""
    p = subprocess.run(gw.command("-n"), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    equal(p.returncode, 1, p.stdout)
    match(p.stdout, why, "the error")
    gw.remove()


@test
def refused():
    """What the hub says is told; a wrong password is not the mail's fault."""
    refused_by(MX(tls=ca().cert("hub.example"), auth={"luke": "other"}),
               r"4\.7\.8 .*: no")
    for answer in ("454 4.7.0 later", "535 5.7.8 no", "534 5.7.9 weak",
                   "503 5.5.1 sequence", "421 4.3.2 bye"):
        refused_by(hub(faults={"auth": Reply(answer)}),
                   re.escape(answer[10:]))
    # It offers none at all, or none that we know.
    refused_by(MX(tls=ca().cert("hub.example")), r"4\.7\.\d")
    mx = hub()
    mx.auth_words = "CRAM-MD5 GSSAPI"
    refused_by(mx, r"4\.7\.\d")


@test
def faults_in_the_exchange():
    for how in (Stall(), Drop(), Drop(b"23"), Reset(), Raw(b"hello\r\n"),
                Raw(b"334 !!!not base64\r\n"), Raw(b"\0\1\2\r\n"),
                Endless(b"334-more\r\n"), Endless(b"x")):
        quick = isinstance(how, Stall)
        refused_by(hub(faults={"auth": how}), quick=quick)
        if getattr(how, "data", b"").startswith(b"334"):
            continue  # what a prompt says is nobody's business
        mx = hub(faults={"more": how})
        mx.auth_words = "LOGIN"
        refused_by(mx, quick=quick)


@test
def another_prompt_for_ever():
    """334 after 334: it gives up, and says nothing more of its own."""
    for words in "PLAIN", "LOGIN":
        mx = hub(faults={"auth": Prompts()})
        mx.auth_words = words
        refused_by(mx)


@test
def each_label_its_own():
    """Two actions to one host: neither has the other's connection."""
    mx = hub()
    conf = "".join(
        f'action {n} relay to "smtp+tls://hub.example:{mx.port}" {words}\n'
        f'match for domain {{ "{n}.example" }} action {n}\n'
        for n, words in (("second", 'auth creds label "leia"'),
                         ("none", ""))) + "workers delivery 1\n"
    with Login(creds={"hub": f"luke:{SECRET}", "leia": "leia:alderaan"},
               conf=conf, hub=mx) as gw:
        for _ in range(2):
            for to in ("x@example.net", "x@second.example",
                       "x@none.example"):
                gw.goes("delivered", "", to)
        equal([m.auth for m in mx.wait(6)], ["luke", "leia", None] * 2,
              "users")
        gw.silent()


@test
def the_next_hub_when_one_refuses():
    one = MX(tls=ca().cert("one.example"), auth={"luke": "other"})
    two = MX(tls=ca().cert("two.example"), auth={"luke": SECRET})
    with Login(one=one, two=two) as gw:
        gw.goes("delivered")
        equal(two.wait()[0].auth, "luke", "user")


@test
def changed_by_a_reload():
    mx = MX(tls=ca().cert("hub.example"), auth={"luke": "new"})
    with Login(creds={"hub": "luke:old"}, hub=mx, retry="1s") as gw:
        mid = gw.send()
        gw.fate(mid, event="deferred")
        gw.creds = {"hub": "luke:new"}
        gw.write_creds()
        equal(gw.ctl("reload")[0], 0, "reload")
        gw.fate(mid, event="delivered")
        equal(mx.wait()[0].auth, "luke", "user")


@test
def the_vault_dies():
    """Mail waits until there is another."""
    mx = hub()
    with Login(hub=mx, retry="1s") as gw:
        gw.goes("delivered")
        (pid,) = [p["pid"] for p in gw.json("show", "status")["processes"]
                  if (p["role"], p["instance"]) == ("vault", 1)]
        os.kill(pid, signal.SIGKILL)  # the one of passwords
        mid = gw.send()
        gw.fate(mid, event="delivered")
        equal({m.auth for m in mx.wait(2)}, {"luke"}, "users")
        gw.silent()


main()
