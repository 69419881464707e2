#!/usr/bin/python3
"""swaks and gsasl as clients: every mechanism of AUTH, STARTTLS, TLS from the
first byte on, XCLIENT, PROXY."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from realclients import *  # noqa: E402,F401,F403


def sent(gw, listener, *more, count):
    code, out = swaks(gw, listener, *more)
    equal(code, 0, out)
    match(out, r"250 2\.0\.0 Ok: queued as", "queued")
    return gw.delivered(count), out


@test
def auth_of_every_mechanism():
    tls = {"submission": ["--tls"], "smtps": ["--tls-on-connect"]}
    with Secured() as gw:
        n = 0
        for listener, words in tls.items():
            for mech in ("PLAIN", "LOGIN"):
                for user in ("luke", "leia", "han", "lando"):
                    n += 1
                    _, out = sent(gw, listener, *words, "--auth", mech,
                                  "--auth-user", user, "--auth-password",
                                  gw.users[user][0], count=n)
                    match(out, r"235 2\.7\.0", f"{mech} of {user}")
                code, out = swaks(gw, listener, *words, "--auth", mech,
                                  "--auth-user", "luke", "--auth-password",
                                  "wrong")
                equal(code, 28, out)  # "no authentication type succeeded"
                match(out, r"535 5\.7\.8", "wrong")
            code, out = swaks(gw, listener, *words, "--auth", "CRAM-MD5",
                              "--auth-user", "luke", "--auth-password", "x")
            equal(code, 28, out)
        # In the clear there is none.
        code, out = swaks(gw, "submission", "--auth", "PLAIN", "--auth-user",
                          "luke", "--auth-password", "force")
        equal(code, 28, out)
        assert "force" not in "\n".join(gw.lines), "a password in the log"
        for mail in gw.mx.wait(n):
            match(mail.data, rb"with ESMTPSA\s+\(version=TLSv1\.3", "Received")


@test
def scram_with_gsasl():
    """Another implementation than the one in tests/lib."""
    gsasl = f"{PEERS}/bin/gsasl"
    if not os.path.exists(gsasl):
        raise Skip("no gsasl (make interop fetches it)")
    # It connects to an address, and wants to find it in the certificate.
    cert = Ca().cert("mx.test.example", own_address())
    with Secured(pkis={"mx": cert}) as gw:
        def run(user, password, *more):
            return command(gsasl, "--smtp", "--connect",
                           f"{gw.address}:{gw.ports['submission']}",
                           "--x509-ca-file", cert.ca.root, "--hostname",
                           "mx.test.example", "--service", "smtp",
                           "-a", user, "-z", user, "-p", password,
                           "--no-cb",
                           "--starttls", *more)
        code, out = run("yoda", "size matters not", "-m", "SCRAM-SHA-256")
        match(out, r"235 2\.7\.0", f"{code} {out}")
        code, out = run("yoda", "size matters", "-m", "SCRAM-SHA-256")
        match(out, r"535 5\.7\.8", f"{code} {out}")
        code, out = run("nobody", "size matters not", "-m", "SCRAM-SHA-256")
        match(out, r"535 5\.7\.8", f"{code} {out}")
        code, out = run("luke", "force", "-m", "PLAIN")
        match(out, r"235 2\.7\.0", f"{code} {out}")
        gw.wait_log(r"\bauth .*user=yoda .*mech=SCRAM-SHA-256 result=ok")


@test
def starttls_and_smtps():
    with Secured() as gw:
        for n, (listener, words) in enumerate((
                ("mx", ["--tls"]), ("smtps", ["--tls-on-connect"]),
                ("mx", ["--tls", "--tls-protocol", "tlsv1_2"]),
                ("mx", ["--tls", "--tls-verify", "--tls-ca-path",
                        gw.ca.root, "--tls-sni", "mx.test.example"])), 1):
            more = ["--auth", "PLAIN", "--auth-user", "luke",
                    "--auth-password", "force"] if listener == "smtps" else []
            mail, out = sent(gw, listener, *words, *more, count=n)
            match(out, r"TLS started with cipher TLSv1\.[23]", "started")
        code, out = swaks(gw, "mx", "--tls", "--tls-protocol", "tlsv1_1")
        equal(code, 29, out)  # "TLS negotiation failed"


@test
def xclient():
    lst = {"mx": "$pkis xclient from { 127.0.0.0/8 }", "other": "$pkis"}
    with Secured(listeners=lst) as gw:
        words = ["--xclient-addr", "192.0.2.77", "--xclient-name",
                 "real.example", "--xclient-helo", "real.example"]
        mail, out = sent(gw, "mx", *words, count=1)
        match(mail.data, rb"192\.0\.2\.77", "Received")
        mail, out = sent(gw, "mx", "--tls", *words, count=2)
        match(mail.data, rb"192\.0\.2\.77", "Received, under TLS")
        code, out = swaks(gw, "other", *words, "--xclient-no-verify")
        equal(code, 33, out)  # "XCLIENT failed"
        match(out, "Host did not advertise XCLIENT", "others")
        with gw.plain("other") as c:
            match(c.cmd("XCLIENT ADDR=192.0.2.77"), r"\((502|550), '5\.",
                  "others")


@test
def proxy():
    lst = {"mx": "$pkis proxy-protocol", "smtps": "$pkis smtps proxy-protocol"}
    with Secured(listeners=lst) as gw:
        n = 0
        for version, family in (("1", "TCP4"), ("1", "TCP6"), ("2", "AF_INET"),
                                ("2", "AF_INET6")):
            source = "2001:db8::7" if "6" in family else "192.0.2.7"
            for listener, tls in (("mx", "--tls"),
                                  ("smtps", "--tls-on-connect")):
                n += 1
                mail, out = sent(
                    gw, listener, tls, "--proxy-version", version,
                    "--proxy-family", family, "--proxy-source", source,
                    "--proxy-source-port", "4711", "--proxy-dest",
                    "2001:db8::1" if "6" in family else "192.0.2.1",
                    "--proxy-dest-port", "25", count=n)
                match(mail.data.decode(), re.escape(source), "Received")
        code, out = swaks(gw, "mx", "--proxy-version", "1", "--proxy", "nil")
        assert code != 0, out
        gw.wait_log("proxy-error ")


main()
