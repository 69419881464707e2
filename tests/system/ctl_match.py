#!/usr/bin/python3
"""test match: which rule decides, and why those before it do not. Each answer
is compared with what a real session is told."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

NET = "127.9.11"
PLAIN, LISTED, WORSE, FINE, CLAIMS, NAMELESS, SICK, LATE = (
    f"{NET}.{n}" for n in range(1, 9))

CONF = '''
postmaster "admin@box.example"
table creds { "joe" = "$hash" }
table lists { "zen.example" = "3", "other.example" = "2" }
table ours { "box.example", "hub.example" }
action drop discard
action hub relay to "$hop"
action out relay port $port
action box maildir "$dir/mail/%{rcpt.user}" user "mail"
match from source { "$PLAIN" } for rcpt { "source@x.example" } tempfail
match from source { "$PLAIN" } mail-from { "@spam.example" } reject
match helo { "liar.example" } for any reject "550 5.7.1 you lie"
match early-talker for rcpt { "early@x.example" } reject "550 5.7.1 early"
match tag inner for rcpt { "tag@x.example" } action hub
match from any for rcpt { "user@x.example" } auth user creds action drop
match tls for rcpt { "tls@x.example" } action drop
match from auth for rcpt { "auth@x.example" } action drop
match for rcpt { "lists@x.example" } dnsbl lists score 5 reject "554 5.7.1 both"
match for rcpt { "lists@x.example" } dnsbl lists score 3 reject
match for rcpt { "name@x.example" } !rdns reject "550 5.7.25 no name"
match for rcpt { "name@x.example" } !fcrdns reject "550 5.7.25 false name"
match for rcpt { "name@x.example" } helo-ptr action hub
match for rcpt { "name@x.example", "lists@x.example" } action drop
match for rcpt { "aside@x.example" } quarantine box
match for domain { "mx.example" } action out
match for domain { "hub.example" } action hub
match for domain ours action box
match from source { "$NAMELESS" } for any milters { } action drop
'''


def on(source, zone):
    return ".".join(reversed(source.split("."))) + "." + zone


def zone():
    arpa = "in-addr.arpa"
    return {
        on(LISTED, "zen.example"): {"A": "127.0.0.2"},
        on(WORSE, "zen.example"): {"A": "127.0.0.2"},
        on(WORSE, "other.example"): {"A": "127.0.0.2"},
        on(FINE, arpa): {"PTR": "fine.example"},
        "fine.example": {"A": FINE},
        on(CLAIMS, arpa): {"PTR": "claims.example"},
        "claims.example": {"A": "192.0.2.1"},
        on(SICK, arpa): Rcode("SERVFAIL"),
        on(SICK, "zen.example"): Rcode("SERVFAIL"),
        "mx.example": {"MX": ["10 a.mx.example", "20 b.mx.example"]},
        "a.mx.example": {"A": "192.0.2.11"},
        "b.mx.example": {"A": "192.0.2.12"},
    }


def gateway(dns, port=25):
    return Gateway(dns.conf() + CONF, {
        "hop": "smtp://127.0.0.1:1", "port": port, "PLAIN": PLAIN,
        "NAMELESS": NAMELESS,
        "hash": "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu"
                "9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"})


def asked(gw, *words):
    """(exit code, answer)"""
    code, out, err = gw.ctl("-j", "test", "match", *words)
    return code, json.loads(out) if out else err


def line_of(gw, text):
    """The number of the one line that holds text."""
    found = [n for n, l in enumerate(gw.conf_text.split("\n"), 1) if text in l]
    equal(len(found), 1, text)
    return found[0]


def session_says(gw, source, helo, sender, rcpt):
    with gw.client(source=source, helo=helo) as c:
        c.want(f"MAIL FROM:<{sender}>", 250)
        return c.cmd(f"RCPT TO:<{rcpt}>")


CASES = [  # client, HELO, from, to, words of the rule
    (PLAIN, "c.example", "a@b.example", "source@x.example", "tempfail"),
    (FINE, "c.example", "a@b.example", "source@x.example", None),
    (PLAIN, "c.example", "a@spam.example", "any@where.example", "@spam"),
    (PLAIN, "liar.example", "a@b.example", "any@box.example", "liar"),
    (PLAIN, "c.example", "", "joe@box.example", "for domain ours"),
    (LISTED, "c.example", "a@b.example", "lists@x.example", "score 3"),
    (WORSE, "c.example", "a@b.example", "lists@x.example", "score 5"),
    (PLAIN, "c.example", "a@b.example", "lists@x.example", '"lists@x.ex'),
    (NAMELESS, "c.example", "a@b.example", "name@x.example", "!rdns"),
    (CLAIMS, "c.example", "a@b.example", "name@x.example", "!fcrdns"),
    (FINE, "fine.example", "a@b.example", "name@x.example", "helo-ptr"),
    (FINE, "other.example", "a@b.example", "name@x.example", '"lists@x.ex'),
    (PLAIN, "c.example", "a@b.example", "aside@x.example", "quarantine"),
    (PLAIN, "c.example", "a@b.example", "x@mx.example", "mx.example"),
    (NAMELESS, "c.example", "a@b.example", "x@no.example", "milters"),
    (PLAIN, "c.example", "a@b.example", "x@no.example", None),
]


def rule_line(gw, words):
    rules = [(n, l) for n, l in enumerate(gw.conf_text.split("\n"), 1)
             if l.startswith("match")]
    if words == '"lists@x.ex':
        words = '"name@x.example", "lists@x.example" } action drop'
    elif words == "helo-ptr":
        words = "helo-ptr action"
    elif words in ("quarantine", "tempfail"):
        words += " box" if words == "quarantine" else ""
    elif words == "mx.example":
        words = '"mx.example"'
    found = [n for n, l in rules if words in l]
    equal(len(found), 1, words)
    return found[0]


@test
def as_a_session_is_told():
    with DNS(zone()) as dns, gateway(dns) as gw:
        for client, helo, sender, rcpt, words in CASES:
            reply = session_says(gw, client, helo, sender, rcpt)
            code, a = asked(gw, "client", client, "helo", helo, "from",
                            sender or "<>", "to", rcpt)
            what = (client, sender, rcpt, reply, a)
            if words is None:
                equal((code, a["rule"], a["action"]), (1, None, None), what)
                match(a["reply"], r"^550 5\.7\.1", what)
            else:
                equal((code, a["rule"]["line"]),
                      (0, rule_line(gw, words)), what)
                match(gw.conf_text.split("\n")[a["rule"]["line"] - 1],
                      re.escape(a["rule"]["text"][:20]), "its text")
            if reply[0] == 250:
                assert a["action"] and "reply" not in a, what
            else:
                equal(a["action"], None, what)
                equal(int(a["reply"][:3]), reply[0], what)
                assert a["reply"][4:] in " ".join(reply[1]) or \
                    a["reply"][4:] in str(reply), what
            # Every line before it, in order, and why.
            lines = [n for n, l in enumerate(gw.conf_text.split("\n"), 1)
                     if l.startswith("match")]
            if a["rule"]:
                lines = lines[:lines.index(a["rule"]["line"])]
            equal([p["line"] for p in a["passed_over"]], lines, what)
            assert all(p["why"].startswith("does not hold: ")
                       for p in a["passed_over"]), what


@test
def what_is_only_said():
    """Of a session that is not there: what is said of it holds."""
    with DNS(zone()) as dns, gateway(dns) as gw:
        base = ("from", "a@b.example", "to")
        for words, rcpt, rule in (
                (("early-talker",), "early@x.example", "early-talker"),
                (("tag", "inner"), "tag@x.example", "tag inner"),
                (("user", "joe"), "user@x.example", "auth user"),
                (("user", "mary"), "user@x.example", None),
                (("user", "mary"), "auth@x.example", "from auth"),
                (("tls",), "tls@x.example", "match tls"),
                (("name", "mx.b.example"), "name@x.example",
                 '"name@x.example", "lists@x.example" } action drop'),
                (("name", "mx.b.example", "helo", "mx.b.example"),
                 "name@x.example", "helo-ptr action")):
            for with_it in (True, False):
                code, a = asked(gw, "client", PLAIN,
                                *(words if with_it else ()), *base, rcpt)
                got = a["rule"] and a["rule"]["line"]
                want = rule and line_of(gw, rule)
                if with_it:
                    equal(got, want, (words, a))
                elif rule:
                    assert got != want, (words, a)
        # On the submit socket.
        code, a = asked(gw, *base, "joe@box.example")
        equal((code, a["action"]), (0, "box"), a)


@test
def the_reasons():
    with DNS(zone()) as dns, gateway(dns) as gw:
        def whys(client, rcpt):
            a = asked(gw, "client", client, "from", "a@b.example", "to",
                      rcpt)[1]
            return {p["line"]: p["why"] for p in a["passed_over"]}
        both = line_of(gw, "score 5")
        match(whys(LISTED, "lists@x.example")[both],
              r"dnsbl lists score 5 \(score 3: zen\.example=127\.0\.0\.2\)$")
        match(whys(SICK, "lists@x.example")[both], r"\(score 0, 1 silent\)$")
        false = line_of(gw, "!fcrdns")
        match(whys(FINE, "name@x.example")[false],
              r"!fcrdns \(fine\.example, confirmed\)$")
        match(whys(CLAIMS, "name@x.example")[line_of(gw, "!rdns")],
              r"!rdns \(claims\.example, unconfirmed\)$")
        # Conditions stand there as they are written.
        match(whys(FINE, "user@x.example")[line_of(gw, "auth user creds")],
              r"does not hold: auth user creds$")
        # Nobody asks lists about ourselves.
        a = asked(gw, "from", "a@b.example", "to", "lists@x.example")[1]
        match({p["line"]: p["why"] for p in a["passed_over"]}[both],
              "lists are not asked")


@test
def a_name_that_cannot_be_learned():
    with DNS(zone()) as dns, gateway(dns) as gw:
        reply = session_says(gw, SICK, "c.example", "a@b.example",
                             "name@x.example")
        equal(reply[0], 451, "the session")
        code, a = asked(gw, "client", SICK, "from", "a@b.example", "to",
                        "name@x.example")
        equal((code, a["rule"]["line"], a["action"]),
              (0, line_of(gw, "!rdns"), None), a)
        match(a["reply"], r"^451 4\.4\.3")


@test
def hops_and_filters():
    with DNS(zone()) as dns, gateway(dns) as gw:
        a = asked(gw, "client", PLAIN, "from", "<a@b.example>", "to",
                  "<x@mx.example>")[1]
        equal([(h["preference"], h["host"], h["address"], h["port"])
               for h in a["hops"]],
              [(10, "a.mx.example", "192.0.2.11", 25),
               (20, "b.mx.example", "192.0.2.12", 25)], "hops")
        equal((a["milters"], a["verdict"]), (None, "action"), "filters")
        a = asked(gw, "client", PLAIN, "from", "<>", "to", "x@hub.example")[1]
        equal([(h["address"], h["port"]) for h in a["hops"]],
              [("127.0.0.1", 1)], "hops")
        a = asked(gw, "client", NAMELESS, "from", "a@b.example", "to",
                  "x@no.example")[1]
        equal(a["milters"], [], "none")
        a = asked(gw, "client", PLAIN, "from", "a@b.example", "to",
                  "aside@x.example")[1]
        equal((a["verdict"], a["action"]), ("quarantine", "box"), "aside")
        text = gw.ctl("test", "match", "client", PLAIN, "from", "a@b.example",
                      "to", "x@mx.example", check=0)[1]
        for want in ("action out", "passed over line", "a.mx.example",
                     "192.0.2.12:25"):
            match(text, re.escape(want), "text")


@test
def postmaster():
    """It is accepted from anybody, and goes where the administrator reads."""
    with DNS(zone()) as dns, gateway(dns) as gw:
        for to in ("postmaster", "Postmaster@box.example",
                   "postmaster@mx.test.example"):
            reply = session_says(gw, PLAIN, "c.example", "a@spam.example", to)
            equal(reply[0], 250, to)
            for a in (asked(gw, "client", PLAIN, "from", "a@spam.example",
                            "to", to)[1], gw.json("show", "routes", to)):
                equal((a["recipient"], a["action"], a["passed_over"]),
                      ("admin@box.example", "box", []), a)
                match(a["hops"][0]["host"], r"/mail/", "where")
        text = gw.ctl("show", "routes", "postmaster", check=0)[1]
        match(text, r"postmaster's mail goes to <admin@box\.example>")
        # Not of anybody's domain.
        reply = session_says(gw, PLAIN, "c.example", "a@b.example",
                             "postmaster@no.example")
        code, a = asked(gw, "client", PLAIN, "from", "a@b.example", "to",
                        "postmaster@no.example")
        equal((reply[0], code, a["rule"]), (550, 1, None), a)


@test
def usage():
    with DNS(zone()) as dns, gateway(dns) as gw:
        good = ("from", "a@b.example", "to", "x@y.example")
        for words in ((), ("from", "a@b.example"), ("to", "x@y.example"),
                      (*good, "banana"), (*good, "client"),
                      (*good, "client", "banana"), (*good, *good),
                      (*good, "tag", "x" * 65), (*good, "client", "10.0.0.0/8"),
                      ("from", "a@b.example", "to", "x" * 400)):
            equal(gw.ctl("test", "match", *words)[0], 2, words)
        for words in (("from", "a@@b", "to", "x@y.example"),
                      ("from", "a@b.example", "to", ""),
                      ("from", "a@b.example", "to", "<>"),
                      ("from", "a@b.example", "to", "x@y z")):
            code, out, err = gw.ctl("-j", "test", "match", *words)
            equal((code, out), (1, ""), words)
            match(err, "is not an address", words)


main()
