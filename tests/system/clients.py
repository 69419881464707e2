#!/usr/bin/python3
"""Clients and servers from elsewhere: swaks, smtplib, smtp-source and
smtp-sink."""
import smtplib
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
match for domain { "example.net" } action out
limit rate-per-source 100000/1m
limit connections-per-source 1000
limit messages-per-connection 100000
'''


def tool(name):
    path = shutil.which(name) or f"{PEERS}/bin/{name}"
    if not os.path.exists(path):
        raise Skip(f"no {name}: make check-deps")
    return path


@test
def swaks():
    program = tool("swaks")
    mx = MX()
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        for args in ([], ["--pipeline"], ["--protocol", "SMTP"]):
            p = subprocess.run(
                [program, "--server", f"{gw.address}:{gw.port}", "--helo",
                 "client.example", "--from", "s@client.example", "--to",
                 "x@example.net,y@example.net", "--body", "from swaks\n.\n",
                 *args],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=DEADLINE)
            equal(p.returncode, 0, p.stdout.decode())
        for m in mx.wait(3):
            assert b"\r\nfrom swaks\r\n.\r\n" in m.data, m.data
        # Refused for everybody: swaks says so.
        p = subprocess.run([program, "--server", f"{gw.address}:{gw.port}",
                            "--to", "x@foreign.example"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert p.returncode != 0
        match(p.stdout.decode(), r"550 5\.7\.1", "why")
    mx.close()


@test
def python_smtplib():
    mx = MX()
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        with smtplib.SMTP(gw.address, gw.port, timeout=DEADLINE) as s:
            s.ehlo("client.example")
            assert s.has_extn("pipelining") and s.has_extn("size")
            equal(s.verify("x@example.net")[0], 252, "VRFY")
            s.sendmail("s@client.example", ["x@example.net"],
                       "Subject: s\n\nline\n.\n..\nend\n")
            try:
                s.sendmail("s@client.example", ["x@foreign.example"], "x")
                raise AssertionError("relayed")
            except smtplib.SMTPRecipientsRefused as e:
                equal(e.recipients["x@foreign.example"][0], 550, "code")
        assert mx.wait()[0].data.endswith(
            b"Subject: s\r\n\r\nline\r\n.\r\n..\r\nend\r\n")
    mx.close()


@test
def smtp_source_to_smtp_sink():
    source, sink = tool("smtp-source"), tool("smtp-sink")
    address = own_address(2)
    port = free_port(address)
    args = ["-u", "nobody"] if ROOT else []
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o777)
        behind = subprocess.Popen(
            [sink, *args, "-8", f"{address}:{port}", "1000"],
            stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_until(lambda: connects(address, port), "smtp-sink")
            with Gateway(CONF, {"hop": f"smtp://{address}:{port}"}) as gw:
                n = 0
                for more in ([], ["-d"], ["-N"], ["-r", "5"]):
                    p = subprocess.run(
                        [source, "-s", "20", "-m", "300", "-l", "4096", "-f",
                         "s@client.example", "-t", "x@example.net", *more,
                         f"{gw.address}:{gw.port}"],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                        timeout=DEADLINE)
                    equal(p.returncode, 0, p.stdout.decode())
                    equal(p.stdout, b"", "smtp-source's complaints")
                    n += 300
                    gw.wait_empty()
                    equal(gw.stats()["smtpd.accepted"], n, "accepted")
        finally:
            os.killpg(behind.pid, signal.SIGKILL)
            behind.wait()


def connects(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


main()
