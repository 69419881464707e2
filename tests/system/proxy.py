#!/usr/bin/python3
"""The PROXY protocol: the client is whom the balancer names, under every
kind of listener, and who sends no header, or a wrong one, is let go."""
import os
import shutil
import socket
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403

CLIENT = "198.51.100.77"
LISTENERS_OF_TESTS = {"mx": "$pkis proxy-protocol",
                      "smtps": "$pkis smtps auth accounts proxy-protocol",
                      "listed": '$pkis proxy-protocol from { "$balancer" }'}


def secured(conf="", **kw):
    return Secured(conf, listeners=LISTENERS_OF_TESTS,
                   values={"balancer": own_address(2)}, **kw)


def send_one(gw, c, token):
    queued_id(c.mail("a@client.example", "x@example.net", letter(token)))
    gw.wait_empty()
    return [m for m in gw.mx.mails() if token_of(m.data) == token][0]


@test
def both_versions_on_every_listener():
    with secured() as gw:
        n = 0
        for header in (proxy_v1, proxy_v2):
            for source in (CLIENT, "2001:db8::77"):
                for listener in ("mx", "smtps"):
                    n += 1
                    with gw.tls(listener, before=header(source),
                                auth="luke" if listener == "smtps" else None
                                ) as c:
                        m = send_one(gw, c, f"proxied{n}")
                    want = f"[{'IPv6:' if ':' in source else ''}{source}]"
                    assert want.encode() in m.data, m.data[:300]
        gw.wait_log(rf"smtpd proxy .*client={CLIENT} port=40000 by=127")
        equal(gw.stats()["smtpd.proxy"], 8)


@test
def split_at_every_byte():
    with secured() as gw:
        for header in (proxy_v1(CLIENT), proxy_v2(CLIENT, tlvs=b"\4\0\2ab")):
            for at in range(1, len(header)):
                with gw.connect("mx", greet=False) as c:
                    c.send(header[:at])
                    c.send(header[at:])
                    equal(c.reply()[0], 220, f"split at {at}")
                    c.want("QUIT", 221)


@test
def header_and_client_hello_in_one_segment():
    """Not a byte of the TLS behind it may be lost."""
    with secured() as gw:
        for header in (proxy_v1(CLIENT), proxy_v2(CLIENT)):
            sock = socket.create_connection(
                (gw.address, gw.ports["smtps"]), DEADLINE)
            peer = TlsPeer(sock)
            _, first = peer.step()
            sock.sendall(header + first)
            assert peer.feed()
            peer.handshake()
            assert peer.recv().startswith(b"220 "), "no greeting"
            peer.send(b"QUIT\r\n")
            assert peer.recv().startswith(b"221 ")
            sock.close()


@test
def local_is_the_balancer_itself():
    with secured() as gw:
        for header in (LOCAL, b"PROXY UNKNOWN\r\n"):
            with gw.connect("mx", before=header, helo="lb.example") as c:
                send_one(gw, c, "own" + str(len(header)))
        for m in gw.mx.mails():
            assert b"[127." in m.data


@test
def malformed_ends_it_without_a_word():
    with secured() as gw:
        bad = (b"EHLO client.example\r\n", b"PROXY TCP4 1.2.3.4\r\n",
               b"PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n", b"\r\n\r\n\0\r\nQUIT\nxxxx",
               b"PROXY " + b"x" * 200, hello(),
               proxy_v2(CLIENT)[:14] + b"\xff\xff")
        for b in bad:
            with gw.connect("mx", greet=False) as c:
                c.send(b)
                assert c.ended(), b
        gw.wait_log(r"proxy-error .*why=no-header client=127")
        equal(gw.stats()["smtpd.proxy_errors"], len(bad))


@test
def only_from_those_listed():
    with secured() as gw:
        with gw.connect("listed", source=own_address(2),
                        before=proxy_v1(CLIENT), helo="x.example") as c:
            m = send_one(gw, c, "listed")
            assert CLIENT.encode() in m.data
        with gw.connect("listed", source=own_address(3),
                        helo="y.example") as c:
            c.want(proxy_v1(CLIENT), 500)
        # One that does not wait for the greeting is no better.
        with gw.connect("listed", source=own_address(3), greet=False,
                        before=proxy_v1(CLIENT)) as c:
            assert c.reply()[0] in (220, 554)


@test
def limits_are_the_clients():
    with Gateway("limit connections-per-source 2\n",
                 {"listen_options": " proxy-protocol"}) as gw:
        def connect(source, **kw):
            return TlsClient(gw.address, gw.port, before=proxy_v1(source),
                             **kw)
        held = [connect(CLIENT) for _ in range(2)]
        with connect(CLIENT, greet=False) as c:
            equal(c.reply()[0], 421)
        others = [connect(f"203.0.113.{i}") for i in range(5)]
        gw.wait_log("reject .*why=connections-per-source "
                    f"client={CLIENT}")
        for c in held + others:
            c.close()
        gw.wait_stat("smtpd.sessions", 0)
        connect(CLIENT).close()


@test
def blocked_clients_behind_a_balancer():
    with secured(f'deny from {{ "{CLIENT}" }}\n') as gw:
        with gw.connect("mx", before=proxy_v1(CLIENT), greet=False) as c:
            code = c.reply()[0]
            equal(code, 554)
            assert c.ended()
        gw.wait_log(rf" reject .*stage=connect .*client={CLIENT}")
        gw.connect("mx", before=proxy_v1("198.51.100.78")).close()


HAPROXY = """
defaults
  mode tcp
  timeout connect 10s
  timeout client 30s
  timeout server 30s
listen v1
  bind {address}:{front1}
  server s {address}:{mx} send-proxy
listen v2
  bind {address}:{front2}
  server s {address}:{mx} send-proxy-v2 check send-proxy-v2
listen smtps
  bind {address}:{front3}
  server s {address}:{smtps} send-proxy-v2 proxy-v2-options crc32c,unique-id
"""


@test
def haproxy_in_front():
    if not shutil.which("haproxy"):
        raise Skip("haproxy is not installed")
    with secured() as gw:
        fronts = {}
        while len(fronts) < 3:
            fronts[free_port(gw.address)] = True
        one, two, three = fronts
        conf = f"{gw.dir}/haproxy.cfg"
        with open(conf, "w") as f:
            f.write(HAPROXY.format(
                address=gw.address, mx=gw.ports["mx"], front1=one, front2=two,
                front3=three, smtps=gw.ports["smtps"]))
        p = subprocess.Popen(["haproxy", "-db", "-f", conf],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        try:
            for i, port in enumerate(fronts):
                def up(port=port):
                    try:
                        socket.create_connection(
                            (gw.address, port), DEADLINE).close()
                        return True
                    except OSError:
                        return False
                wait_until(up, "haproxy")
                with TlsClient(gw.address, port, smtps=i == 2,
                               source=own_address(4),
                               helo="client.example") as c:
                    m = send_one(gw, c, f"haproxy{i}")
                assert own_address(4).encode() in m.data, m.data[:300]
        finally:
            p.terminate()
            p.wait()


main()
