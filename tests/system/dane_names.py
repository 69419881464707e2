#!/usr/bin/python3
"""What the resolver makes of DNSSEC, and who hears of it: TLSA records, ways,
whether the name server validates; and the daily reports about TLS."""
import datetime
import email
import email.policy
import gzip
import json
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

KEY = "00112233445566778899aabbccddeeff" * 2
CONF = '''
action mx relay port 25
action plain relay to "smtp+notls://mx.good.example"
action must relay tls require
action sts relay tls mta-sts
action any relay to "smtp://mx.good.example" tls dane
action tls relay to "smtp+tls://mx.good.example" tls no-verify
match for domain { "plain.example" } action plain
match for domain { "must.example" } action must
match for domain { "sts.example" } action sts
match for domain { "any.example" } action any
match for domain { "tls.example" } action tls
match for any action mx
'''
# Addresses of documentation: nothing is ever sent there.
ZONE = {
    "good.example": {"MX": "10 mx.good.example"},
    "mx.good.example": {"A": "192.0.2.1"},
    "_25._tcp.mx.good.example": {"TLSA": [f"3 1 1 {KEY}", "2 0 0 abcdef"]},
    "none.example": {"MX": "10 mx.none.example"},
    "mx.none.example": {"A": "192.0.2.2"},
    "odd.example": {"MX": "10 mx.odd.example"},
    "mx.odd.example": {"A": "192.0.2.3"},
    "_25._tcp.mx.odd.example": {"TLSA": "1 1 1 " + KEY},
    "sick.example": {"MX": ["10 mx.sick.example", "20 mx.good.example"]},
    "mx.sick.example": {"A": "192.0.2.4"},
    "_25._tcp.mx.sick.example": Rcode("SERVFAIL"),
    "must.example": {"MX": "10 mx.none.example"},
    "sts.example": {"MX": "10 mx.none.example"},
    "bogus.example": Rcode("SERVFAIL"),
}


def gateway(dns, conf=CONF, options="timeout 10s trust-ad"):
    return Gateway(dns.conf(options) + conf)


def dnssec(gw):
    return gw.json("show", "status")["dnssec"]


def is_on(gw):
    wait_until(lambda: dnssec(gw), "dnssec")


@test
def resolve():
    with DNS(ZONE, ad=True) as dns, gateway(dns) as gw:
        got = gw.json("resolve", "_25._tcp.mx.good.example", "tlsa")
        equal((got["type"], got["status"], got["ad"]), ("TLSA", "ok", True))
        equal([r["data"] for r in got["records"]],
              [f"3 1 1 {KEY}", "2 0 0 abcdef"], "records")
        got = gw.json("resolve", ".", "NS")
        equal((got["name"], got["ad"]), (".", True), "the root")
        equal(gw.ctl("resolve", "good.example", "TLSA")[0], 1, "no data")
        for data in (b"", b"\3\1", b"\3"):
            dns.add({"_1._tcp.short.example": {"TLSA": data}})
            code, out, _ = gw.ctl("resolve", "_1._tcp.short.example", "TLSA")
            equal(code, 1, "status")
            match(out, "malformed", "too short")


@test
def routes():
    """How a connection is secured, as far as names tell."""
    with DNS(ZONE, ad=True) as dns, gateway(dns) as gw:
        is_on(gw)
        for domain, want in (
                ("good", ["dane"]), ("none", ["opportunistic"]),
                ("odd", ["encrypted"]), ("sick", ["none", "dane"]),
                ("plain", ["none"]), ("must", ["require"]),
                ("sts", ["mta-sts"]), ("any", ["dane"]),
                ("tls", ["encrypted"])):
            got = gw.json("show", "routes", f"a@{domain}.example")
            equal(sorted(h["tls"] for h in got["hops"]), sorted(want), domain)
        got = gw.json("show", "routes", "a@sick.example")
        (sick,) = [h for h in got["hops"] if h["host"] == "mx.sick.example"]
        equal(sick["address"], None, "no way")
        match(sick["why"], "TLSA", "why")
        match(gw.ctl("show", "routes", "a@good.example")[1],
              r"mx\.good\.example +dane +192\.0\.2\.1:25", "text")


@test
def it_validates():
    with DNS(ZONE, ad=True) as dns, \
            gateway(dns, 'dnssec signed "good.example" bogus '
                    '"bogus.example"\n' + CONF) as gw:
        is_on(gw)
        gw.wait_log(r"resolver .*dnssec state=on")
        equal(gw.stats()["resolver.dnssec"], 1, "gauge")
        match(gw.ctl("show", "status")[1], r"(?m)^dnssec on$", "text")
        equal(len(dns.asked("good.example", "NS")), 1, "signed")
        equal(len(dns.asked("bogus.example", "A")), 1, "bogus")


@test
def it_does_not():
    """No AD; or a bogus name has an answer: TLSA records are left alone."""
    bogus = dict(ZONE, **{"bogus.example": {"A": "192.0.2.9"}})
    for zone, ad, statement in (
            (ZONE, False, ""), (ZONE, False, 'dnssec signed "good.example"\n'),
            (bogus, True, 'dnssec signed "good.example" bogus '
                          '"bogus.example"\n')):
        with DNS(zone, ad=ad) as dns, gateway(dns, statement + CONF) as gw:
            gw.wait_log(r"resolver .*dnssec state=off")
            equal(dnssec(gw), False, "dnssec")
            equal(gw.stats()["resolver.dnssec"], 0, "gauge")
            match(gw.ctl("show", "status")[1], r"(?m)^dnssec off \(127", "why")
            got = gw.json("show", "routes", "a@good.example")
            equal([h["tls"] for h in got["hops"]], ["opportunistic"], "tls")
            equal(dns.asked("_25._tcp.mx.good.example"), [], "TLSA")


@test
def nobody_is_trusted():
    """Said once, and nobody is asked; until the servers change."""
    with DNS(ZONE, ad=True) as dns, gateway(dns, options="timeout 10s") as gw:
        gw.wait_log(r"resolver .*dnssec state=off .*trust-ad")
        equal(dnssec(gw), False, "dnssec")
        equal(dns.asked("", "NS"), [], "tests")
        gw.json("show", "routes", "a@good.example")
        equal(dns.asked("_25._tcp.mx.good.example"), [], "TLSA")
        gw.conf_text = gw.conf_text.replace("timeout 10s", "timeout 10s "
                                            "trust-ad")
        gw.write_conf()
        gw.ctl("reload", check=0)
        is_on(gw)
        got = gw.json("show", "routes", "a@good.example")
        equal([h["tls"] for h in got["hops"]], ["dane"], "tls")
        gw.conf_text = gw.conf_text.replace(" trust-ad", "")
        gw.write_conf()
        gw.ctl("reload", check=0)
        wait_until(lambda: not dnssec(gw), "dnssec off")
        gw.wait_log("dnssec state=off", count=2)
        gw.mark()
        equal(len(gw.log_has("dnssec state=off")), 2, "said")


@test
def a_silent_server_proves_nothing():
    with DNS(dict(ZONE, **{"": Silent()}), ad=True) as dns, \
            gateway(dns, options="timeout 3s trust-ad") as gw:
        gw.wait_log(r"resolver .*dnssec state=unknown .*timeout")
        equal(dnssec(gw), False, "dnssec")
        # What is authenticated counts all the same.
        got = gw.json("show", "routes", "a@good.example")
        equal([h["tls"] for h in got["hops"]], ["dane"], "tls")


# --- reports ---

REPORTS = '''
tls-report from "noreply@gw.example" organization "Us & Co" \
    contact "postmaster@gw.example"
action back relay to "$hop" tls opportunistic
match for any action back
deliver idle-timeout 0
'''


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def counted(gw, lines):
    """As a queue that ended left it in the spool."""
    path = f"{gw.dir}/spool/tls-reports"
    data = "".join(line + "\n" for line in lines).encode()
    with open(path, "wb") as f:
        f.write(f"postern tls-reports 1 {crc32c(data):08x}\n".encode() + data)
    st = os.stat(f"{gw.dir}/spool")
    os.chown(path, st.st_uid, st.st_gid)
    return path


@test
def a_report_of_a_missed_day():
    day = int(time.time() // 86400) - 2
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    mx = MX()
    gw = Gateway(REPORTS, {"hop": mx.hop})
    path = counted(gw, [
        f"D {day} 0 0 far.example v=TLSRPTv1;rua=mailto:tls@far.example,"
        "https://far.example/,mailto:two@far.example",
        "P 1 5 2 3%201%201%20abcd -",
        "F 6 2 mx.far.example 192.0.2.1 192.0.2.9 -",
        # Not before its time.
        f"D {day + 2} 0 0 far.example v=TLSRPTv1;rua=mailto:tls@far.example",
        "P 0 1 0 - -"])
    with gw:
        mails = mx.wait(2)
        equal(sorted(m.rcpts[0] for m in mails),
              ["tls@far.example", "two@far.example"], "recipients")
        for m in mails:
            equal(m.sender, "", "sender")
        text = email.message_from_bytes(mails[0].data,
                                        policy=email.policy.default)
        equal(text["TLS-Report-Domain"], "far.example")
        equal(text["TLS-Report-Submitter"], "gw.example")
        equal(text["TLS-Required"], "No")
        equal(text.get_content_type(), "multipart/report")
        equal(text.get_param("report-type"), "tlsrpt")
        _, part = text.iter_parts()
        equal(part.get_content_type(), "application/tlsrpt+gzip")
        match(part.get_filename(), rf"^gw\.example!far\.example!{day * 86400}!"
              rf"{day * 86400 + 86399}!\w+\.json\.gz$", "file name")
        report = json.loads(gzip.decompress(part.get_content()))
        equal(report["organization-name"], "Us & Co")
        equal(report["date-range"]["start-datetime"], f"{date}T00:00:00Z")
        equal(report["policies"], [{
            "policy": {"policy-type": "tlsa", "policy-string": ["3 1 1 abcd"],
                       "policy-domain": "far.example"},
            "summary": {"total-successful-session-count": 5,
                        "total-failure-session-count": 2},
            "failure-details": [{
                "result-type": "tlsa-invalid", "sending-mta-ip": "192.0.2.9",
                "receiving-mx-hostname": "mx.far.example",
                "receiving-ip": "192.0.2.1", "failed-session-count": 2}]}],
              "policies")
        match(text["Subject"], f"<{report['report-id']}>", "subject")
        gw.wait_log(r"queue .*tls-report-unsent .*https")
        gw.wait_empty()
        # As soon as it is on disk nobody makes it again.
        wait_until(lambda: f"D {day} 3 " in open(path).read(), "told")
        gw.kill()
        with gw.changed:
            mark = len(gw.lines)
        gw.start()
        gw.wait_log("parent ready", since=mark)
        equal(gw.stats()["queue.tls_reports"], 0, "reports")
        equal(len(mx.mails()), 2, "mails")
    mx.close()


# RFC 8460 4.4: what may stand where.
TEXT, NUMBER, LIST = str, int, [str]
SCHEMA = {
    "organization-name": TEXT, "contact-info": TEXT, "report-id": TEXT,
    "date-range": {"start-datetime": TEXT, "end-datetime": TEXT},
    "policies": [{
        "policy": {"policy-type": TEXT, "policy-string": LIST,
                   "policy-domain": TEXT, "mx-host": LIST},
        "summary": {"total-successful-session-count": NUMBER,
                    "total-failure-session-count": NUMBER},
        "failure-details": [{
            "result-type": TEXT, "sending-mta-ip": TEXT,
            "receiving-mx-hostname": TEXT, "receiving-ip": TEXT,
            "failed-session-count": NUMBER, "failure-reason-code": TEXT}]}]}


def fits(value, schema, where="report"):
    if isinstance(schema, list):
        assert isinstance(value, list), where
        for v in value:
            fits(v, schema[0], where)
    elif isinstance(schema, dict):
        unknown = set(value) - set(schema)
        assert not unknown, f"{where}: {unknown}"
        for key, v in value.items():
            fits(v, schema[key], f"{where}.{key}")
    else:
        assert type(value) is schema, f"{where}: {value!r}"


@test
def hostile_texts_are_texts():
    """What others write into names, policies and reasons adds nothing to the
    mail or its JSON; and nobody gets a report twice."""
    day = int(time.time() // 86400) - 2
    evil = '"]},\\\r\nBcc: x@y.example\r\n\r\n{\x7f\xe9\ud83d'
    word = "".join(f"%{b:02X}" for b in evil.encode("utf-8", "surrogatepass"))
    rua = ("v=TLSRPTv1;rua=mailto:tls@far.example,mailto:TLS%40far.example,"
           "mailto:tls@far.example?bcc=x@y.example,"
           "mailto:a%0d%0abcc:x@y.example,mailto:%22a%20b%22@far.example,"
           "mailto:a@[127.0.0.1],mailto:tls@far.example!1m"
           ).replace("%", "%25")
    mx = MX()
    gw = Gateway(REPORTS, {"hop": mx.hop})
    counted(gw, [f"D {day} 0 0 far.example {rua}",
                 f"P 2 0 2 {word}%0Amx:%20x {word}%20mx.far.example",
                 f"F 5 1 {word} {word} {word} {word}",
                 "F 9 1 - - - -"])
    with gw:
        (mail,) = mx.wait(1)
        gw.wait_empty()
        equal(len(mx.mails()), 1, "mails")
        equal(mail.rcpts, ["tls@far.example"], "recipients")
        text = email.message_from_bytes(mail.data, policy=email.policy.default)
        assert not [p for p in text.walk() if p.defects], "defects"
        equal(text["Bcc"], None)
        _, part = text.iter_parts()
        report = json.loads(gzip.decompress(part.get_content()))
        fits(report, SCHEMA)
        (policy,) = report["policies"]
        seen = evil.replace("\ud83d", "\ufffd\ufffd\ufffd")
        equal(policy["failure-details"][0]["failure-reason-code"], seen)
        equal(policy["policy"]["policy-domain"], "far.example")
    mx.close()


@test
def a_damaged_count():
    """Set aside, and the queue comes up."""
    mx = MX()
    gw = Gateway(REPORTS, {"hop": mx.hop})
    path = counted(gw, ["D 1 0 0 far.example x"])
    with open(path, "ab") as f:
        f.write(b"P")
    with gw:
        gw.wait_log(r"tls-reports=damaged")
        assert not os.path.exists(path)
    mx.close()


main()
