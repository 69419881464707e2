#!/usr/bin/python3
"""TLS towards next hops: what each policy takes, what it refuses, and that
nobody strips it."""
import os
import signal
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403

STRICT = ("tls require", "tls require no-verify")
# The handshake stalls, nothing else has to be quick.
STALLED = "deliver starttls-timeout 4s\n"


def good(**kw):
    return MX(tls=ca().cert("hub.example"), **kw)


def bad_hubs(**kw):
    return {what: MX(tls=cert, **kw)
            for what, cert in bad_certs("hub.example").items()}


def failing(moment, hows):
    """One next hop for each way to fail then."""
    return {what: good(faults={moment: how}) for what, how in hows.items()}


# --- opportunistic ---

@test
def opportunistic_takes_any_certificate():
    with Each("", bad_hubs()) as gw:
        for what, mail in gw.delivered().items():
            equal(mail.tls.version, "TLSv1.3", what)
            equal(mail.tls.sni, "hub.example", what)


@test
def opportunistic_without_an_offer():
    delivered_by("tls opportunistic", tls=False, mx=MX())
    # Offered, and then not to be had.
    answers = ("454 4.7.0 not now", "502 5.5.1 what?")
    with Each("", {"no offer": MX()} | failing("starttls", {
            a: Reply(a) for a in answers})) as gw:
        gw.delivered(tls=False)


BROKEN = {"garbage": Garble(), "plain text": Garble(b"220 mx ESMTP\r\n"),
          "an alert": Garble(b"\x15\x03\x03\0\2\2\x28"), "an end": Drop(),
          "a reset": Reset(), "half a flight": Broken(300, Drop()),
          "half a record": Broken(4, Reset())}


@test
def opportunistic_when_the_handshake_fails():
    """Once more in the clear: better than no mail."""
    with Each("", failing("handshake", {
            what: [how] for what, how in BROKEN.items()})) as gw:
        gw.delivered(tls=False)
        for what, mx in gw.each.items():
            equal(mx.total, 2, f"{what}: connections")
            equal(len(mx.said("starttls")), 1, f"{what}: STARTTLS")


@test
def opportunistic_when_the_handshake_stalls():
    with Each("", failing("handshake", {
            "at once": [Stall()], "in mid flight": [Broken(300, Stall())]}),
            before=STALLED) as gw:
        gw.delivered(tls=False)


@test
def old_versions():
    """TLS 1.0 and 1.1 are none; 1.2 is."""
    cert = ca().cert("hub.example")
    mail, _ = delivered_by("tls require",
                           mx=MX(tls=cert, versions=(None, "TLSv1_2")))
    equal(mail.tls.version, "TLSv1.2", "version")
    for high in "TLSv1", "TLSv1_1":
        old = ("TLSv1", high)
        delivered_by("", tls=False, mx=MX(tls=cert, versions=old))
        deferred_by("tls require", MX(tls=cert, versions=old))


# --- required ---

@test
def required_and_verified():
    mail, _ = delivered_by("tls require")
    equal(mail.tls.sni, "hub.example", "SNI")
    for kind in "rsa", "p384":
        delivered_by("tls require", mx=MX(tls=ca().cert("hub.example",
                                                        kind=kind)))
    delivered_by("tls require", mx=MX(tls=ca().cert(
        "other.example", "hub.example", "third.example")))
    delivered_by("tls require", mx=MX(tls=ca().cert(
        "hub.example", issuer=ca().intermediate())))
    mx = MX(tls=ca().cert("*.hops.example"))
    with Sending("tls require", mxs={"a.hops.example": mx}) as gw:
        gw.goes("delivered")


@test
def required_and_not_to_be_verified():
    # What only looks like the name.
    names = ("*.hub.example", "*.*", "*.example", "hub.example.net")
    with Each("tls require", bad_hubs() | {
            name: MX(tls=ca().cert(name)) for name in names}) as gw:
        gw.refused()
        for what, mx in gw.each.items():
            equal(mx.total, 1, f"{what}: connections")


@test
def required_of_anybody():
    with Each("tls require no-verify", bad_hubs()) as gw:
        gw.delivered()


@test
def required_and_stripped():
    """No offer, a refusal, a broken handshake, bytes between: never."""
    answers = ("454 4.7.0 not now", "502 5.5.1 what?", "421 4.3.2 bye",
               "554 5.3.2 no")
    for words in STRICT:
        with Each(words, {"no offer": MX()} |
                  failing("handshake", BROKEN)) as gw:
            gw.refused()
        with Each(words, failing("starttls", {
                a: Reply(a) for a in answers})) as gw:
            gw.refused(pattern=r"4\.\d\.\d")


@test
def required_and_stalled():
    for words in STRICT:
        with Each(words, failing("starttls", {"no answer": Stall()}) |
                  failing("handshake", {
                      "at once": Stall(),
                      "in mid flight": Broken(300, Stall())}),
                  quick=True) as gw:
            gw.refused(pattern=r"4\.\d\.\d")


@test
def urls_that_require():
    for scheme, smtps in (("smtp+tls", False), ("smtps", True)):
        def at(cert, smtps=smtps, **kw):
            return MX(tls=cert, smtps=smtps, **kw)
        cert = ca().cert("hub.example")
        mail, _ = delivered_by("", mx=at(cert), scheme=scheme)
        equal(mail.tls.sni, "hub.example", "SNI")
        with Each("", bad_hubs(smtps=smtps), scheme) as gw:
            gw.refused()
        delivered_by("tls no-verify", mx=at(ca().self_signed("x.example")),
                     scheme=scheme)
    deferred_by("", MX(), scheme="smtp+tls")
    # Not a word of TLS where it has to begin at once.
    deferred_by("", MX(), r"4\.\d\.\d", scheme="smtps", quick=True)
    delivered_by("", tls=False, mx=good(), scheme="smtp+notls")


@test
def an_address_is_verified_too():
    for names, event in ((lambda a: (a,), "delivered"),
                         (lambda a: ("127.0.0.99",), "deferred"),
                         (lambda a: ("hub.example",), "deferred")):
        mx = MX(tls=ca().cert(*names(own_address())))
        with Sending(mxs={mx.address: mx}, scheme="smtp+tls") as gw:
            gw.goes(event)
            mx.wait_ended()
            mx.nothing_in_clear()
            if event == "delivered":
                equal(mx.mails()[0].tls.sni, None, "SNI of an address")


# --- injected bytes (CVE-2011-0411 and its kin) ---

INJECTED = (b"250-evil.example\r\n250 SIZE 10\r\n", b"250 2.0.0 ok\r\n", b"x",
            b"554 5.7.1 go away\r\n")


@test
def bytes_behind_the_220():
    """Whatever came between the 220 and TLS costs the connection, and the
    mail does not go in the clear, whatever the policy."""
    for words in ("", "tls opportunistic", *STRICT):
        with Each(words, failing("starttls", {
                b: Raw(b"220 2.0.0 go ahead\r\n" + b)
                for b in INJECTED})) as gw:
            gw.refused(pattern=r"4\.\d\.\d")


@test
def what_was_said_before_is_forgotten():
    """The words of the EHLO in the clear are nobody's: another SIZE, AUTH,
    and no extension that is not said again."""
    lies = "250-mx.sink.example\r\n250-STARTTLS\r\n250-SIZE 10\r\n" \
        "250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8"
    mx = good(faults={"clear:ehlo": Reply(lies)},
              extensions=("PIPELINING", "SIZE 1000000"))
    with Sending("tls require", hub=mx) as gw:
        gw.goes("delivered", params=" RET=HDRS ENVID=abc")
        mail = mx.wait()[0]
        equal(len(mx.said("ehlo")), 2, "EHLOs")
        assert "RET" not in mail.params, mail.params
        match(mail.params, "SIZE=", "what it offers under TLS")


@test
def faults_behind_tls():
    """EHLO refused, nonsense, an end: all of it is the hop's fault, none a
    reason to go on without TLS."""
    hows = {"421": Reply("421 4.3.2 bye"), "an end": Drop(),
            "a reset": Reset(), "nonsense": Raw(b"hello\r\n"),
            "550": Reply("550 5.7.1 not you")}
    for words in ("", "tls require"):
        with Each(words, {
                what: good(faults={"tls:ehlo": how, "tls:helo": how})
                for what, how in hows.items()}) as gw:
            gw.refused(pattern="")


# --- beside each other ---

@test
def the_next_one_when_the_first_cannot_be_secured():
    bad = {"stripped": MX(), "expired": MX(tls=ca().cert(
        "one.example", days=(-20, -10))), "broken": MX(
            tls=ca().cert("one.example"), faults={"handshake": Garble()})}
    for what, one in bad.items():
        two = MX(tls=ca().cert("two.example"))
        with Sending("tls require", one=one, two=two) as gw:
            gw.goes("delivered")
            equal(len(two.wait()), 1, what)
            one.wait_ended()
            one.nothing_in_clear()
            equal(one.mails(), [], what)
            gw.wait_empty()


@test
def by_mx_and_required():
    """The names of the MX hosts, each for itself."""
    one, two = row(2)
    one.set_tls(ca().cert("two.example"))
    two.set_tls(ca().cert("two.example"))
    with Sending("tls require", by_mx=True, one=one, two=two) as gw:
        gw.goes("delivered")
        two.wait()
        one.wait_ended()
        one.nothing_in_clear()


@test
def connections_serve_their_own_policy():
    """What an opportunistic action has left open is not for one that
    demands a name."""
    mx = MX(tls=ca().self_signed("hub.example"))
    conf = f'action strict relay to "smtp://hub.example:{mx.port}" ' \
        'tls require\nmatch for domain { "strict.example" } action strict\n' \
        "deliver idle-timeout 1h\nworkers delivery 1\n"
    with Sending("", conf, hub=mx) as gw:
        gw.goes("delivered")
        mx.wait()
        gw.goes("deferred", r"4\.7\.5", "y@strict.example")
        gw.goes("delivered")
        mails = mx.wait(2)
        equal([m.rcpts for m in mails], [["x@example.net"]] * 2, "mails")
        equal(mails[0].connection, mails[1].connection, "reused")


@test
def sessions_are_taken_up_again():
    for high in "TLSv1_2", "TLSv1_3":
        mx = MX(tls=ca().cert("hub.example"), versions=(None, high))
        with Sending("tls require", "deliver messages-per-connection 1\n"
                     "workers delivery 1\n", hub=mx) as gw:
            for n in range(3):
                gw.goes("delivered")
                mx.wait(n + 1)
                mx.wait_ended()
            equal([t.resumed for t in mx.sessions], [False, True, True], high)


@test
def a_resumed_session_proves_no_more():
    """What was taken up again without a name does not stand for one."""
    mx = MX(tls=ca().self_signed("hub.example"))
    conf = f'action strict relay to "smtp://hub.example:{mx.port}" ' \
        'tls require\nmatch for domain { "strict.example" } action strict\n' \
        "deliver messages-per-connection 1\nworkers delivery 1\n"
    with Sending("", conf, hub=mx) as gw:
        for _ in range(2):
            gw.goes("delivered")
        for _ in range(2):
            gw.goes("deferred", r"4\.7\.5", "y@strict.example")
        equal(len(mx.mails()), 2, "mails")


@test
def our_certificate():
    """Shown to a hop that asks for it; its key stays with the vault."""
    mx = MX(tls=ca().cert("hub.example"), client_ca=ca())
    mine = ca().cert("mx.test.example")
    with Sending("tls require pki mine", hub=mx,
                 before=f"pki mine {mine.words()}\n") as gw:
        gw.goes("delivered")
        shown = mx.wait()[0].tls.client
        pem = openssl("x509", "-in", mine.chain, "-outform", "DER")
        equal(shown, pem, "the certificate")
    mail, _ = delivered_by("tls require", mx=MX(
        tls=ca().cert("hub.example"), client_ca=ca()))
    equal(mail.tls.client, None, "without a pki")


@test
def our_certificate_without_its_key():
    """A vault that gives no signature costs the connection, not the mail."""
    mx = MX(tls=ca().cert("hub.example"), client_ca=ca())
    mine = ca().cert("mx.test.example")
    with Sending("tls require pki mine", STALLED, hub=mx, retry="1s",
                 before=f"pki mine {mine.words()}\n") as gw:
        (pid,) = [p["pid"] for p in gw.json("show", "status")["processes"]
                  if (p["role"], p["instance"]) == ("vault", 0)]
        os.kill(pid, signal.SIGSTOP)
        with gw.plain() as c:
            mid = queued_id(c.mail("", ("x@example.net",), letter("t")))
        _, line = gw.fate(mid, event="deferred")
        match(line, r"4\.7\.5", "the line")
        os.kill(pid, signal.SIGCONT)
        gw.fate(mid, event="delivered")
        assert mx.wait()[0].tls.client, "our certificate"
        mx.nothing_in_clear()


@test
def authorities_are_read_again():
    """A hop that nobody vouches for, until a reload brings its authority."""
    import shutil
    mx = MX(tls=other_ca().cert("hub.example"))
    gw = Sending("tls require", hub=mx, retry="1s")
    path = f"{gw.dir}/ca.pem"
    shutil.copyfile(ca().root, path)
    gw.conf_text = gw.conf_text.replace(ca().root, path)
    gw.write_conf()
    with gw:
        mid = gw.send()
        gw.fate(mid, event="deferred")
        shutil.copyfile(other_ca().root, path)
        equal(gw.ctl("reload")[0], 0, "reload")
        gw.fate(mid, event="delivered")
        mx.wait()
        mx.nothing_in_clear()


@test
def authorities_that_are_no_more():
    """Connections left open and sessions are no better than the authority
    that vouched for them."""
    import shutil
    mx = MX(tls=other_ca().cert("hub.example"))
    conf = "deliver idle-timeout 1h\nworkers delivery 1\n"
    gw = Sending("tls require", conf, hub=mx, retry="1h")
    path = f"{gw.dir}/ca.pem"
    shutil.copyfile(other_ca().root, path)
    gw.conf_text = gw.conf_text.replace(ca().root, path)
    gw.write_conf()
    with gw:
        gw.goes("delivered")
        equal(gw.ctl("reload")[0], 0, "reload")
        gw.goes("delivered")
        equal(mx.total, 1, "connections while it is the same")
        shutil.copyfile(ca().root, path)
        equal(gw.ctl("reload")[0], 0, "reload")
        gw.goes("deferred", r"4\.7\.5")
        equal(len(mx.mails()), 2, "mails")
        mx.nothing_in_clear()


# --- REQUIRETLS (RFC 8689) ---

KNOWS = ("PIPELINING", "8BITMIME", "SIZE 52428800", "REQUIRETLS")


@test
def requiretls():
    mx = good(extensions=KNOWS)
    with Sending("", hub=mx) as gw:
        gw.goes("delivered", params=" REQUIRETLS")
        match(mx.wait()[0].params, r"\bREQUIRETLS\b", "handed on")
        gw.goes("delivered")
        assert "REQUIRETLS" not in mx.wait(2)[1].params, "of the other"


@test
def requiretls_is_never_given_up():
    with Each("", {
            "not known": good(), "nor TLS": MX(),
            "no TLS": MX(extensions=KNOWS),
            "not verified": MX(tls=ca().self_signed("hub.example"),
                               extensions=KNOWS),
            "broken": good(extensions=KNOWS,
                           faults={"handshake": Garble()})}) as gw:
        gw.refused("bounced", r"5\.7\.30", params=" REQUIRETLS")


@test
def requiretls_goes_where_it_is_known():
    one, two = MX(tls=ca().cert("one.example")), \
        MX(tls=ca().cert("two.example"), extensions=KNOWS)
    with Sending("", one=one, two=two) as gw:
        gw.goes("delivered", params=" REQUIRETLS")
        match(two.wait()[0].params, r"\bREQUIRETLS\b", "the second")
        equal(one.mails(), [], "the first")


@test
def requiretls_by_an_mx_of_anybody():
    """A certificate for a name that the name server made up is no proof, even
    where the action is content with it."""
    mx = good(extensions=KNOWS)
    with Sending("tls require", by_mx=True, hub=mx) as gw:
        gw.goes("bounced", r"5\.7\.30", params=" REQUIRETLS")
        equal(mx.commands, [], "what was said")
        gw.goes("delivered")
        mx.wait(1)


main()
