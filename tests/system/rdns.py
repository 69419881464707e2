#!/usr/bin/python3
"""Who calls: the client's name by DNS, what rules and Received make of it,
and who waits for it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from filtered import LIMITS  # noqa: E402

# Some ask again until it is so, all from one address.
CONF = LIMITS + '''
action box maildir "$dir/mail/%{rcpt.user}"$owner
match for rcpt { "any@box.example" } action box
match rdns for rcpt { "rdns@box.example" } action box
match fcrdns for rcpt { "fcrdns@box.example" } action box
match helo-ptr for rcpt { "helo@box.example" } action box
match !fcrdns for rcpt { "stranger@box.example" } action box
'''
USERS_ASKED = ("any", "rdns", "fcrdns", "helo", "stranger")
# The name server is the test's own: these are nobody else's.
NET = "127.9.0"


def gateway(dns, conf=CONF, timeout="30s"):
    """Such a timeout that a name server may hesitate; a client's command is
    kept waiting for 5 s at most."""
    return Gateway(dns.conf(f"timeout {timeout}") + conf,
                   {"owner": ' user "mail"' if ROOT else ""})


def asks(gw, source, helo="host.example"):
    """The codes of RCPT for each of USERS_ASKED."""
    with Client(gw.address, gw.port, source=source, helo=helo) as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        return tuple(c.cmd(f"RCPT TO:<{u}@box.example>")[0]
                     for u in USERS_ASKED)


def received(gw, source, user="any", helo="host.example"):
    """What Received says of the client, whose name is known by then."""
    before = len(gw.maildir("any"))
    with Client(gw.address, gw.port, source=source, helo=helo) as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        # Waits, whatever the answer is.
        c.cmd("RCPT TO:<fcrdns@box.example>")
        c.want("RCPT TO:<any@box.example>", 250)
        c.want("DATA", 354)
        c.send(letter("who") + b".\r\n")
        queued_id(c.reply())
    wait_until(lambda: len(gw.maildir("any")) > before, "the mail")
    data = gw.maildir("any")[-1].decode()
    found = re.search(r"(?s)\nReceived: from (\S+) \((.*?)\[([^]]+)\]\)",
                      "\n" + data)
    return found.group(1), found.group(2).strip(), found.group(3)


YES, NO, LATER = 250, 550, 451
#                    any  rdns fcrdns helo stranger
CONFIRMED = (YES, YES, YES, YES, NO)
OTHER_HELO = (YES, YES, YES, NO, NO)
UNCONFIRMED = (YES, YES, NO, NO, YES)
NAMELESS = (YES, NO, NO, NO, YES)
FAULT = (YES, LATER, LATER, LATER, LATER)

GOOD = {"A": f"{NET}.1"}
# What the PTR says, what the names say, what comes of it, who it is.
CASES = {
    "confirmed": ("host.example", {"A": "$me"}, CONFIRMED),
    "upper-case": ("HOST.Example", {"A": "$me"}, CONFIRMED),
    "one-of-addresses": ("host.example",
                         {"A": ["192.0.2.1", "$me", "192.0.2.2"]}, CONFIRMED),
    "second-of-two": (["no.example", "host.example"], {"A": "$me"},
                      CONFIRMED),
    "by-alias": ("alias.example", {"A": "$me"}, OTHER_HELO),
    "other-name": ("other.example", {"A": "$me"}, OTHER_HELO),
    "not-back": ("host.example", {"A": "192.0.2.1"}, UNCONFIRMED),
    "no-such-host": ("nowhere.example", {}, UNCONFIRMED),
    "no-address": ("host.example", {}, UNCONFIRMED),
    "none": (Nxdomain(), {"A": "$me"}, NAMELESS),
    "no-data": (Nodata(), {"A": "$me"}, NAMELESS),
    "servfail": (Rcode("SERVFAIL"), {"A": "$me"}, FAULT),
    "refused": (Rcode("REFUSED"), {"A": "$me"}, FAULT),
    "silent": (Silent(), {"A": "$me"}, FAULT),
    "malformed": (RawAnswer("8580000100ff00000000"), {"A": "$me"}, FAULT),
    "address-fault": ("host.example", {"A": Rcode("SERVFAIL")}, FAULT),
    # Lies that would be trouble in a log or a header.
    "crlf": ("evil\\013\\010Received: from.example", {"A": "$me"}, None),
    "escape": ("\\027[31m.example", {"A": "$me"}, None),
    "blank": ("a b.example", {"A": "$me"}, None),
    "bracket": ("a]\\041.example", {"A": "$me"}, None),
    "8bit": ("\\252.example", {"A": "$me"}, None),
    "literal": ("$me", {"A": "$me"}, None),
    "root": (".", {"A": "$me"}, None),
    "long": (".".join(["x" * 60] * 5) + ".example", {"A": "$me"}, None),
    "many": ([f"h{i}.example" for i in range(2000)], {"A": "192.0.2.1"},
             None),
    "loop": ({"CNAME": "$ptr"}, {}, FAULT),
}


def put_in(what, me, ptr):
    if isinstance(what, str):
        return what.replace("$me", me).replace("$ptr", ptr)
    if isinstance(what, list):
        return [put_in(w, me, ptr) for w in what]
    if isinstance(what, dict):
        return {k: put_in(v, me, ptr) for k, v in what.items()}
    return what


@test
def every_answer():
    for n, (case, (pointer, name, want)) in enumerate(CASES.items()):
        me = f"{NET}.{n + 1}"
        ptr = reverse(me)
        pointer = put_in(pointer, me, ptr)
        name = put_in(name, me, ptr)
        zone = {ptr: pointer if isinstance(pointer, dict)
                else {"PTR": pointer}}
        for host in ("host", "other"):
            zone[f"{host}.example"] = name
        zone["alias.example"] = {"CNAME": "host.example"}
        # A name with the forbidden in it has the address too.
        if isinstance(pointer, str) and pointer not in zone and \
                "nowhere" not in pointer:
            zone[pointer.lower()] = name
        # What is waited for in vain is not waited for long.
        with DNS(zone) as dns, gateway(
                dns, timeout="1s" if want is FAULT else "30s") as gw:
            got = asks(gw, me)
            if want is None:
                assert got in (UNCONFIRMED, NAMELESS, FAULT), (case, got)
            else:
                equal(got, want, case)
            helo, said, address = received(gw, me)
            equal((helo, address), ("host.example", me), case)
            known = want in (CONFIRMED, OTHER_HELO)
            if known:
                match(said, r"^[a-z]+\.example$", f"{case}: Received")
            else:
                equal(said, "unknown", f"{case}: Received")
            line = gw.wait_log(rf"smtpd accepted .*rdns=\S+")
            match(line, " rdns=" + (re.escape(said) if known else "unknown"),
                  f"{case}: the log")
            assert not gw.log_has("[\x00-\x08\x0b-\x1f\x7f]"), case


@test
def alias_of_a_pointer():
    """RFC 2317: the PTR of a small network, by CNAME."""
    me = f"{NET}.77"
    with DNS({reverse(me): {"CNAME": f"77.64-27.{reverse(me)[3:]}"},
              f"77.64-27.{reverse(me)[3:]}": {"PTR": "host.example"},
              "host.example": {"A": me}}) as dns, gateway(dns) as gw:
        equal(asks(gw, me), CONFIRMED, "by alias")


@test
def helo_without_case():
    me = f"{NET}.78"
    with DNS(hosts({"host.example": me})) as dns, gateway(dns) as gw:
        equal(asks(gw, me, helo="HoSt.ExAmPlE"), CONFIRMED, "equal")
        equal(asks(gw, me, helo="host.example.net"), OTHER_HELO, "longer")
        equal(asks(gw, me, helo=f"[{me}]"), OTHER_HELO, "a literal")


@test
def ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError as e:
        raise Skip("no IPv6 here") from e
    port = wide_port()  # ::1 is everybody's
    with DNS({reverse("::1"): {"PTR": "six.example"},
              "six.example": {"AAAA": "::1", "A": "192.0.2.1"}}) as dns, \
            gateway(dns, f"listen on ::1 port {port}\n" + CONF) as gw:
        with Client("::1", port, helo="six.example") as c:
            c.want("MAIL FROM:<a@client.example>", 250)
            c.want("RCPT TO:<helo@box.example>", 250)
            c.want("DATA", 354)
            c.send(letter("six") + b".\r\n")
            queued_id(c.reply())
        wait_until(lambda: gw.maildir("helo"), "the mail")
        match(gw.maildir("helo")[0].decode(),
              r"from six\.example \(six\.example \[IPv6:::1\]\)", "Received")


def waiting(gw, me, user="fcrdns"):
    """A client whose RCPT waits."""
    before = gw.stats()["smtpd.rdns_waited"]
    c = Client(gw.address, gw.port, source=me, helo="host.example")
    c.want("MAIL FROM:<a@client.example>", 250)
    c.send(f"RCPT TO:<{user}@box.example>\r\n")
    wait_until(lambda: gw.stats()["smtpd.rdns_waited"] > before,
               "the session to wait")
    return c


@test
def only_who_needs_it_waits():
    me = f"{NET}.80"
    late = Late({"PTR": "host.example"})
    with DNS({reverse(me): late, "host.example": {"A": me}}) as dns, \
            gateway(dns) as gw:
        # Everything up to the 250, while the lookup is under way.
        with Client(gw.address, gw.port, source=me,
                    helo="host.example") as c:
            dns.wait_asked(reverse(me), "PTR")
            queued_id(c.mail("a@client.example", "any@box.example",
                             letter("hasty")))
        wait_until(lambda: gw.maildir("any"), "the mail")
        match(gw.maildir("any")[0].decode(), r"\(unknown \[", "Received")
        equal(gw.stats()["smtpd.rdns_waited"], 0, "waits so far")
        c = waiting(gw, me)
        # Another client is not held up by that.
        with gw.client(source="127.0.0.1", helo="x.example") as other:
            other.want("MAIL FROM:<a@client.example>", 250)
            other.want("RCPT TO:<any@box.example>", 250)
        late.release()
        equal(c.reply()[0], 250, "when it is known")
        c.want("RCPT TO:<helo@box.example>", 250)
        c.close()
        equal(len(dns.asked(reverse(me))), 1, "questions, for two sessions")


@test
def pipelined_behind_a_wait():
    me = f"{NET}.81"
    late = Late({"PTR": "host.example"})
    with DNS({reverse(me): late, "host.example": {"A": me}}) as dns, \
            gateway(dns) as gw:
        c = Client(gw.address, gw.port, source=me, helo="host.example")
        c.send("MAIL FROM:<a@client.example>\r\n"
               "RCPT TO:<fcrdns@box.example>\r\n"
               "RCPT TO:<any@box.example>\r\nRCPT TO:<no@box.example>\r\n"
               "DATA\r\n")
        equal(c.reply()[0], 250, "MAIL")
        wait_until(lambda: gw.stats()["smtpd.rdns_waited"] == 1, "the wait")
        late.release()
        equal([c.reply()[0] for _ in range(4)], [250, 250, 550, 354],
              "replies in order")
        c.send(letter("piped") + b".\r\n")
        queued_id(c.reply())


@test
def it_does_not_wait_for_ever():
    """At most 5 s, however patient the resolver is."""
    me = f"{NET}.82"
    with DNS({reverse(me): Silent()}) as dns, \
            gateway(dns, timeout="20s") as gw:
        c = waiting(gw, me)
        start = time.monotonic()
        equal(c.reply(), (451, "4.4.3 Your address could not be looked up, "
                          "try again later"), "the reply")
        assert time.monotonic() - start < 15, "too late"
        match(gw.wait_log("smtpd reject "), "why=rdns", "the log")
        c.want("RCPT TO:<any@box.example>", 250)


@test
def the_session_goes_while_it_waits():
    me = f"{NET}.83"
    late = Late({"PTR": "host.example"})
    with DNS({reverse(me): late, "host.example": {"A": me}}) as dns, \
            gateway(dns) as gw:
        pids = gw.role_pids("smtpd")
        clients = [waiting(gw, me) for _ in range(3)]
        clients[0].close()
        clients[1].reset()
        # Who only closed its side may still want its reply.
        gw.wait_log("smtpd disconnect.* reason=reset")
        late.release()
        equal(clients[2].reply()[0], 250, "the one that stayed")
        equal(gw.role_pids("smtpd"), pids, "the same process")


@test
def the_resolver_dies_while_it_waits():
    """K-12: temporary, and found out by the next session."""
    me = f"{NET}.84"
    with DNS({reverse(me): Sequence(Silent(), {"PTR": "host.example"}),
              "host.example": {"A": me}}) as dns, gateway(dns) as gw:
        c = waiting(gw, me)
        dns.wait_asked(reverse(me), "PTR")  # the silence is this one's
        (pid,) = gw.role_pids("resolver")
        mark = gw.mark()
        os.kill(pid, signal.SIGKILL)
        got = c.reply()
        equal(got[0], 451, got)
        match(got[1], r"^4\.4\.3 ", "the reply")
        c.want("RCPT TO:<any@box.example>", 250)
        gw.wait_log(r"parent died process=resolver", since=mark)
        wait_until(lambda: gw.role_pids("resolver"), "another resolver")
        wait_until(lambda: asks(gw, me) == CONFIRMED, "names again")


@test
def verify_waits_too():
    me, nobody, sick = (f"{NET}.{n}" for n in (85, 86, 87))
    with DNS(dict(hosts({"host.example": me}),
                  **{reverse(sick): Rcode("SERVFAIL")})) as dns, \
            gateway(dns) as gw:
        for source, code in ((me, 250), (nobody, 550), (sick, 451)):
            with Client(gw.address, gw.port, source=source,
                        helo="host.example") as c:
                c.want("VRFY fcrdns@box.example", code)
                c.want("VRFY any@box.example", 250)


@test
def who_is_not_asked_for():
    """A listener with no-rdns, and the socket for local programs."""
    conf = CONF + "listen on $own_address port $second no-rdns\n"
    with DNS() as dns:
        second = free_port(own_address())
        gw = Gateway(dns.conf() + conf,
                     {"owner": ' user "mail"' if ROOT else "",
                      "second": second})
        with gw:
            with Client(gw.address, second, helo="x.example") as c:
                c.want("MAIL FROM:<a@client.example>", 250)
                c.want("RCPT TO:<fcrdns@box.example>", 550)
                c.want("RCPT TO:<stranger@box.example>", 250)
            gw.ctl("send", "-f", "a@client.example", "any@box.example",
                   stdin=b"Subject: local\n\nx\n", check=0)
            wait_until(lambda: gw.maildir("any"), "the mail")
            equal(dns.questions, [], "questions")
            equal(gw.stats()["smtpd.rdns_asked"], 0, "the counter")


@test
def remembered_for_its_time():
    me, brief = f"{NET}.88", f"{NET}.89"
    zone = hosts({"host.example": me})
    zone.update({reverse(brief): {"PTR": RR("brief.example", 1)},
                 "brief.example": {"A": RR(brief, 1)}})
    with DNS(zone) as dns, gateway(dns, CONF + "workers smtpd 1\n") as gw:
        for _ in range(10):
            equal(asks(gw, me), CONFIRMED, "each time")
        equal(len(dns.asked(reverse(me))), 1, "questions")
        equal(gw.stats()["smtpd.rdns_asked"], 1, "of smtpd")
        # A second later the name server says something else.
        equal(asks(gw, brief), OTHER_HELO, "at first")
        dns.add({reverse(brief): Nxdomain()})
        wait_until(lambda: asks(gw, brief) == NAMELESS, "the change")


@test
def without_a_name_server():
    """Nobody listens there: what needs no name goes on."""
    port = free_port(own_address(5))
    gw = Gateway(f"resolver {own_address(5)} port {port} timeout 1s\n" + CONF,
                 {"owner": ' user "mail"' if ROOT else ""})
    with gw:
        equal(asks(gw, f"{NET}.90"), FAULT, "replies")


main()
