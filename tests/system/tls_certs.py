#!/usr/bin/python3
"""Certificates: which one is shown, what clients show, resumption, and what
happens when the files change or are wrong."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from fakemilter import Filter  # noqa: E402
import grp  # noqa: E402
import ssl  # noqa: E402
import threading  # noqa: E402

TWO_WORKERS = "workers smtpd 2 delivery 1\n"


def s_client(gw, *more, listener="mx"):
    args = [] if listener.startswith("smtps") else ["-starttls", "smtp"]
    p = subprocess.run(
        ["openssl", "s_client", "-connect",
         f"{gw.address}:{gw.ports[listener]}", "-crlf", *args, *more],
        input=b"QUIT\r\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=DEADLINE)
    return p.stdout.decode("utf-8", "replace")


def reload(gw):
    """What is wrong, or None."""
    code, _, err = gw.ctl("reload")
    return None if code == 0 else err


def checked(gw):
    """(exit code, text) of posternd -n, but for what tests leave out."""
    p = subprocess.run(gw.command("-n"), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=DEADLINE)
    return p.returncode, re.sub(r"[^\n]*`postmaster' is not set[^\n]*\n", "",
                                p.stdout.decode())


def worker_of(gw, c):
    """The pid of the process that has the other end of this connection."""
    def words(addr):
        ip = socket.inet_aton(addr[0])[::-1].hex().upper()
        return f"{ip}:{addr[1]:04X}"
    local, remote = words(c.sock.getpeername()), words(c.sock.getsockname())
    with open("/proc/net/tcp") as f:
        rows = [l.split() for l in f]
    inode = next(r[9] for r in rows if r[1] == local and r[2] == remote)
    for pid in gw.role_pids("smtpd"):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]":
                    return pid
            except FileNotFoundError:
                pass
    raise AssertionError("whose connection is it?")


# --- which certificate ---

@test
def chosen_by_sni():
    ca = Ca()
    one = ca.cert("one.example", "mail.one.example")
    two = ca.cert("two.example", "*.w.example")
    with Secured(pkis={"one": one, "two": two}) as gw:
        for name, want in (("one.example", one), ("two.example", two),
                           ("mail.one.example", one), ("TWO.example", two),
                           ("a.w.example", two), ("a.b.w.example", one),
                           ("w.example", one), ("other.example", one),
                           (None, one)):
            for lst in ("mx", "smtps"):
                with gw.tls(lst, name=name) as c:
                    equal(c.serial(), want.serial(), f"{name} on {lst}")
        match(gw.wait_log(r"\btls .*sni=two\.example"), "version=TLSv1.3",
              "the log")


@test
def kinds_of_keys_side_by_side():
    ca = Ca()
    ecdsa, rsa = (ca.cert("mx.test.example", kind=k) for k in
                  ("ecdsa", "rsa"))
    with Secured(pkis={"mx": [ecdsa, rsa]}) as gw:
        for n, cert in (("ECDSA", ecdsa), ("RSA", rsa)):
            ctx = context(high="TLSv1_2",
                          ciphers=f"ECDHE-{n}-AES256-GCM-SHA384")
            with gw.tls(ctx=ctx) as c:
                equal(c.serial(), cert.serial(), n)
        for algorithm, want in (("rsa_pss_rsae_sha256", "RSA-PSS"),
                                ("rsa_pss_rsae_sha512", "RSA-PSS"),
                                ("ecdsa_secp256r1_sha256", "ECDSA")):
            got = s_client(gw, "-tls1_3", "-sigalgs", algorithm)
            match(got, f"Peer signature type: {want}", algorithm)
        # RSA signatures of TLS 1.2, both paddings.
        for algorithm in ("RSA+SHA256", "rsa_pss_rsae_sha384"):
            got = s_client(gw, "-tls1_2", "-sigalgs", algorithm)
            match(got, "Peer signature type: RSA", algorithm)


@test
def other_sizes_and_a_chain():
    ca = Ca()
    between = ca.intermediate("Two", ca.intermediate("One"))
    for kind in ("p384", "rsa4096"):
        cert = ca.cert("mx.test.example", kind=kind, issuer=between)
        with Secured(pkis={"mx": cert}) as gw:
            ctx = context(ca)
            with gw.tls(ctx=ctx, name="mx.test.example") as c:
                equal(c.serial(), cert.serial(), kind)
            match(s_client(gw, "-CAfile", ca.root, "-showcerts"),
                  r"Verify return code: 0", f"{kind}, the chain")


@test
def alpn():
    with Secured() as gw:
        with gw.tls(ctx=context(alpn=["smtp"])) as c:
            c.want("NOOP", 250)
        # RFC 7301 3.2; and who sends web requests is at the wrong door.
        try:
            gw.tls(ctx=context(alpn=["h2", "http/1.1"]))
            raise AssertionError("HTTP was agreed on")
        except ssl.SSLError as e:
            match(e, "no application protocol", "the alert")


# --- what clients show ---

@test
def client_certificates():
    ca, other = Ca(), Ca("Another Root")
    good = ca.cert("client.example", subject="/O=Tatooine/CN=luke")
    bad = other.cert("client.example", subject="/CN=vader")
    f = Filter()
    lst = {"checked": f'$pkis client-certificate ca "{ca.root}" '
           "milters { f }", "shown": "$pkis client-certificate",
           "mx": "$pkis"}
    with Secured(listeners=lst, before=f'milter f socket "{f.spec}"\n') as gw:
        for n, (cert, listener, verify) in enumerate((
                (good, "checked", "OK"), (bad, "checked", "FAIL"),
                (None, "checked", "NO"), (good, "shown", "FAIL"),
                (good, "mx", "NOT"))):
            mark = gw.mark()
            with gw.tls(listener, ctx=context(cert=cert)) as c:
                line = gw.wait_log(r"\btls session=.* version=", since=mark)
                match(line, rf"verify={verify}\b", f"{n} {listener}")
                queued_id(c.mail("a@b.example", "x@example.net", letter("t")))
        told = [{k: v for e in f.seen(conn=n) for k, v in e.macros.items()}
                for n in (1, 2, 3)]
        match(told[0]["{cert_subject}"], "luke", "subject")
        match(told[0]["{cert_issuer}"], "Test Root", "issuer")
        for t in told:
            equal(t["{tls_version}"], "TLSv1.3", "version")
            match(t["{cipher}"], "^TLS_", "cipher")
            match(t["{cipher_bits}"], r"^(128|256)$", "bits")
        assert "{cert_subject}" not in told[2], told[2]
    f.close()


@test
def a_client_certificate_of_a_megabyte():
    """T-7: it is not taken, where one is asked for; elsewhere it is never
    sent."""
    ca = Ca()
    names = [f"n{i:06}.{'x' * 50}.example" for i in range(15000)]
    big = ca.cert(*names, subject="/CN=big.example")
    lst = {"mx": "$pkis", "shown": "$pkis client-certificate"}
    with Secured(listeners=lst) as gw:
        with gw.tls(ctx=context(cert=big)) as c:
            c.want("NOOP", 250)
        try:
            with gw.tls("shown", ctx=context(cert=big)) as c:
                raise AssertionError("a megabyte was taken")
        except (ssl.SSLError, OSError):
            pass
        gw.tls("shown").close()


# --- resumption ---

def resumed_by(gw, ctx, session, listener="mx"):
    """(was it resumed, the worker that did it)"""
    with gw.tls(listener, ctx=ctx, session=session) as c:
        return c.sock.session_reused, worker_of(gw, c) if ROOT else 0


def session_of(gw, ctx, listener="mx"):
    with gw.tls(listener, ctx=ctx) as c:
        c.want("NOOP", 250)  # the tickets have come by now
        equal(c.sock.session_reused, False, "a new one")
        return c.sock.session


@test
def resumption_across_workers():
    with Secured(conf=TWO_WORKERS) as gw:
        workers = set(gw.role_pids("smtpd")) if ROOT else {0}
        for high in ("TLSv1_2", "TLSv1_3"):
            ctx = context(high=high)
            session = session_of(gw, ctx)
            seen = set()
            for _ in range(200):
                again, pid = resumed_by(gw, ctx, session)
                equal(again, True, f"{high} by {pid}")
                seen.add(pid)
                if seen == workers:
                    break
            equal(seen, workers, "workers seen")
        gw.wait_log(r"\btls .*resumed=yes")
        assert gw.stats()["smtpd.tls_resumed"] >= 2


@test
def tickets_of_another_listener():
    """T-8: what was agreed there does not hold here."""
    lst = {"mx": "$pkis", "mx2": "$pkis", "smtps": "$pkis smtps"}
    with Secured(listeners=lst) as gw:
        for high in ("TLSv1_2", "TLSv1_3"):
            ctx = context(high=high)
            session = session_of(gw, ctx)
            for other in ("mx2", "smtps"):
                equal(resumed_by(gw, ctx, session, other)[0], False, other)
            equal(resumed_by(gw, ctx, session)[0], True, "at home")


@test
def tickets_outlive_a_worker_and_a_reload():
    with Secured(conf="workers smtpd 1 delivery 1\n") as gw:
        ctx = context()
        session = session_of(gw, ctx)
        equal(reload(gw), None, "reload")
        equal(resumed_by(gw, ctx, session)[0], True, "after the reload")
        for pid in gw.role_pids("smtpd"):
            os.kill(pid, signal.SIGKILL)
            wait_gone([pid])
        wait_until(lambda: len(gw.role_pids("smtpd")) == 1, "a successor")
        equal(resumed_by(gw, ctx, session)[0], True, "by the successor")
        # Not those of another gateway, though.
        with Secured(pkis=gw.pkis) as two:
            equal(resumed_by(two, ctx, session)[0], False, "a stranger's")


@test
def a_ticket_that_was_changed():
    """Half of it turned over: a full handshake."""
    with Secured() as gw, tempfile.TemporaryDirectory() as d:
        path = f"{d}/session"
        got = s_client(gw, "-tls1_2", "-sess_out", path)
        match(got, "(?m)^New, TLSv1.2", "the first")
        match(s_client(gw, "-tls1_2", "-sess_in", path),
              "(?m)^Reused, TLSv1.2", "the second")
        der = openssl("sess_id", "-in", path, "-outform", "DER")
        text = openssl("sess_id", "-in", path, "-text", "-noout").decode()
        ticket = bytes.fromhex("".join(
            "".join(re.findall(r"[0-9a-f]{2}", l[11:59])) for l in
            re.search(r"TLS session ticket:\n(.*?)\n\n", text,
                      re.S).group(1).split("\n")))
        equal(der.count(ticket), 1, "the ticket in the session")
        half = len(ticket) // 2
        with open(f"{path}.der", "wb") as f:
            f.write(der.replace(ticket, ticket[:half] + bytes(
                b ^ 0xff for b in ticket[half:])))
        openssl("sess_id", "-inform", "DER", "-in", f"{path}.der", "-out",
                f"{path}.bad")
        match(s_client(gw, "-tls1_2", "-sess_in", f"{path}.bad"),
              "(?m)^New, TLSv1.2", "the changed one")


# --- files that change, or are wrong ---

@test
def replaced_by_reload():
    ca = Ca()
    old, new = ca.cert("mx.test.example"), ca.cert("mx.test.example",
                                                   kind="rsa")
    place = old.copy_to(f"{ca.dir}/live", "mx")
    with Secured(pkis={"mx": place}) as gw:
        one, plain, half = gw.tls(), gw.plain(), gw.plain()
        equal(one.serial(), old.serial(), "before")
        half.want("STARTTLS", 220)
        peer = TlsPeer(half.sock)
        new.copy_to(ca.dir, "mx", place)
        # Nothing happens by itself.
        with gw.tls() as c:
            equal(c.serial(), old.serial(), "before the reload")
        equal(reload(gw), None, "reload")
        with gw.tls() as c:
            equal(c.serial(), new.serial(), "after the reload")
        queued_id(one.mail("a@b.example", "x@example.net", letter("old")))
        # A session of before, secured now; a handshake begun before.
        plain.starttls(helo="client.example").want("NOOP", 250)
        peer.handshake().send(b"EHLO client.example\r\n")
        match(peer.recv(), b"^250-", "begun before")
        one.want("QUIT", 221)
        # And back, by the signal.
        mark = gw.mark()
        old.copy_to(ca.dir, "mx", place)
        os.kill(gw.proc.pid, signal.SIGHUP)
        gw.wait_log(r"reload result=ok", since=mark)
        with gw.tls() as c:
            equal(c.serial(), old.serial(), "and back")


@test
def replaced_while_clients_come():
    """A new key at each reload: who comes meanwhile is served, with the old
    one or the new one."""
    ca = Ca()
    names = ["mx.test.example"] + [f"m{i}.test.example" for i in range(14)]
    sets = [[ca.cert(n) for n in names] for _ in range(2)]
    place = {n: sets[0][i].copy_to(f"{ca.dir}/live", f"p{i}")
             for i, n in enumerate(names)}
    done = threading.Event()
    wrong, served = [], []

    def clients(gw, name):
        try:
            while not done.is_set():
                with gw.tls(name=name) as c:
                    served.append(c.serial())
                    c.want("QUIT", 221)
        except Exception as e:
            wrong.append(f"{name}: {e!r}")

    with Secured(pkis={f"p{i}": place[n] for i, n in enumerate(names)}) as gw:
        threads = [threading.Thread(target=clients, args=(gw, n))
                   for n in (names[0], names[-1], names[0])]
        for t in threads:
            t.start()
        for i in range(1, 21):
            for j, cert in enumerate(sets[i % 2]):
                cert.copy_to(ca.dir, f"p{j}", place[names[j]])
            equal(reload(gw), None, "reload")
            mark = len(served)
            wait_until(lambda: wrong or len(served) > mark + 5, "clients")
        done.set()
        for t in threads:
            t.join()
        equal(wrong, [], "what went wrong")
        equal(len(set(served)), 4, "certificates that were shown")


def wrong(ca):
    """{what: (certificate, what the error says)}"""
    a, b = ca.cert("a.example"), ca.cert("b.example")
    rsa = ca.cert("r.example", kind="rsa")
    text = f"{ca.dir}/text"
    with open(text, "w") as f:
        f.write("no certificate\n")
    sealed = f"{ca.dir}/sealed.key"
    openssl("pkcs8", "-topk8", "-in", a.key, "-out", sealed, "-passout",
            "pass:secret")
    return {"another key": (Cert("a", a.chain, b.key), "key"),
            "another kind": (Cert("a", a.chain, rsa.key), "key"),
            "no such file": (Cert("a", "/nowhere.crt", a.key),
                             "nowhere.crt.*No such file"),
            "no such key": (Cert("a", a.chain, "/nowhere.key"),
                            "nowhere.key.*No such file"),
            "no PEM": (Cert("a", text, a.key), "text"),
            "no PEM key": (Cert("a", a.chain, text), "text"),
            "with a password": (Cert("a", a.chain, sealed),
                                "[Ee]ncrypted|passphrase|password"),
            "weak": (ca.cert("w.example", kind="rsa1024"),
                     "weak|1024|short|small|bits")}


@test
def what_is_wrong_is_said_and_nothing_changes():
    ca = Ca()
    good = ca.cert("mx.test.example")
    place = good.copy_to(f"{ca.dir}/live", "mx")
    with Secured(pkis={"mx": place}) as gw:
        at = [n + 1 for n, l in enumerate(gw.conf_text.split("\n"))
              if l.startswith("pki ")][0]
        text = gw.conf_text
        for what, (cert, says) in wrong(ca).items():
            gw.conf_text = text.replace(place.words(), cert.words())
            gw.write_conf()
            code, out = checked(gw)
            equal(code, 1, f"{what}: {out}")
            match(out, rf"postern\.conf:{at}: [^\n]*({says})", what)
            match(reload(gw), says, f"{what}, at reload")
            with gw.tls() as c:
                equal(c.serial(), good.serial(), f"{what}: the old one")
        # It does not start so either.
        p = subprocess.run(gw.command("-d"), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=DEADLINE)
        equal(p.returncode, 1, p.stdout.decode())
        gw.conf_text = text
        gw.write_conf()
        equal(checked(gw), (0, "configuration OK\n"), "the right one")
        equal(reload(gw), None, "reload of the right one")


@test
def times_are_warned_of():
    ca = Ca()
    for days, says in (((-20, -10), "(?i)expired"),
                       ((-20, 5), "(?i)expires"),
                       ((10, 20), "(?i)not.*yet|not.*before|not.*valid")):
        cert = ca.cert("mx.test.example", days=days)
        with Secured(pkis={"mx": cert}) as gw:
            code, out = checked(gw)
            equal(code, 0, out)
            match(out, says, f"{days}")
            gw.wait_log(says)
            # It works, all the same.
            gw.tls().want("NOOP", 250)
    with Secured(pkis={"mx": ca.cert("mx.test.example")}) as gw:
        equal(checked(gw), (0, "configuration OK\n"), "a good one")


@test
def an_ordinary_user():
    """Without root the roles are the same, and keys are read the same."""
    if not ROOT:
        raise Skip("already so")
    ca = Ca()
    cert = ca.cert("mx.test.example")
    os.chmod(cert.key, 0o640)
    os.chown(cert.key, 0, grp.getgrnam("nogroup").gr_gid)
    with Secured(pkis={"mx": cert}, user="nobody") as gw:
        with gw.tls("submission", auth="luke") as c:
            queued_id(c.mail("a@b.example", "x@example.net", letter("t")))


main()
