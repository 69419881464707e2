#!/usr/bin/python3
"""testssl.sh on STARTTLS and on TLS from the first byte: protocols, ciphers,
vulnerabilities; nothing it finds may be worse than LOW."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from realclients import command  # noqa: E402

# What it says of a certificate that a test's own authority has made is
# true everywhere.
OF_THE_TEST = re.compile(r"^cert_(chain_of_trust|revocation)\b")
WORSE = {"MEDIUM", "HIGH", "CRITICAL"}
# Sections: protocols, cipher categories, forward secrecy, server defaults,
# server preferences, vulnerabilities.
SECTIONS = ["-p", "-s", "-f", "-S", "-P", "-U"]
LIMIT = 240


def scan(gw, listener, *more):
    """{id: (severity, finding)}"""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        raise Skip("testssl.sh is not installed (make interop does)")
    with tempfile.TemporaryDirectory() as d:
        code, out = command(
            "timeout", str(LIMIT), program, "--quiet", "--warnings", "off",
            "--color", "0", "--nodns", "none", "--ip", gw.address,
            "--connect-timeout", "20", "--openssl-timeout", "20",
            "--openssl", "/usr/bin/openssl", "--jsonfile", f"{d}/out.json",
            *SECTIONS, *more, f"mx.test.example:{gw.ports[listener]}",
            limit=LIMIT + 20)
        if code == 124:
            raise AssertionError(f"not within {LIMIT} s: {out[-2000:]}")
        with open(f"{d}/out.json") as f:
            found = json.load(f)
    return {e["id"]: (e["severity"], e["finding"]) for e in found}


def judged(found):
    bad = {k: v for k, v in found.items()
           if v[0] in WORSE and not OF_THE_TEST.search(k)}
    equal(bad, {}, "findings above LOW")
    # It did look.
    for name, want in (("SSLv2", "not offered"), ("SSLv3", "not offered"),
                       ("TLS1", "not offered"), ("TLS1_1", "not offered"),
                       ("TLS1_2", "^offered"), ("TLS1_3", "^offered"),
                       ("heartbleed", "not vulnerable"),
                       ("ROBOT", "not vulnerable"),
                       ("secure_client_renego", "not vulnerable"),
                       ("SWEET32", "not vulnerable"),
                       ("LOGJAM", "not vulnerable"), ("PFS", "^offered")):
        match(found[name][1], want, f"{name}: {found[name]}")
    print(f"  {len(found)} findings; " + ", ".join(
        f"{s} {sum(v[0] == s for v in found.values())}"
        for s in ("OK", "INFO", "LOW", "WARN", *sorted(WORSE))))


def gateway():
    ca = Ca()
    certs = [ca.cert("mx.test.example", kind=k) for k in ("ecdsa", "rsa")]
    return Secured(pkis={"mx": certs}, listeners={
        "mx": "$pkis auth accounts", "smtps": "$pkis smtps"},
        conf="limit junk-commands 100000\n")


@test
def starttls():
    with gateway() as gw:
        judged(scan(gw, "mx", "--starttls", "smtp"))
        gw.tls().want("NOOP", 250)


@test
def smtps():
    with gateway() as gw:
        judged(scan(gw, "smtps"))
        gw.tls("smtps").want("NOOP", 250)


main()
