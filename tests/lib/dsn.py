"""Reports (RFC 3464, RFC 6522), read by Python's email package."""
import email
import email.policy
import re

from postern import equal, match

DATE = r"^\w{3}, +\d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$"


class Report:
    """A report as it was delivered; what holds for every one is checked
    here. fields: of the message; rcpts: fields of each recipient, by
    address; original: the header of the mail it is about, None without."""

    def __init__(self, data):
        self.data = data
        self.check_lines()
        self.mail = email.message_from_bytes(data,
                                             policy=email.policy.compat32)
        self.check_header()
        parts = self.mail.get_payload()
        assert len(parts) in (2, 3), f"{len(parts)} parts"
        equal(parts[0].get_content_type(), "text/plain", "part 1")
        self.text = parts[0].get_payload(decode=True).decode(
            parts[0].get_content_charset() or "us-ascii")
        match(parts[1].get_content_type(),
              "^message/(global-)?delivery-status$", "part 2")
        blocks = self.blocks(parts[1])
        self.fields = blocks[0]
        self.rcpts = {}
        for b in blocks[1:]:
            match(b["Final-Recipient"], r"^(rfc822|utf-8); ?\S", "recipient")
            self.rcpts[b["Final-Recipient"].partition(";")[2].strip()] = b
        self.check_fields()
        self.original = None
        if len(parts) == 3:
            match(parts[2].get_content_type(),
                  "^(text/rfc822-headers|message/(rfc822|global)"
                  "(-headers)?)$", "part 3")
            self.whole = parts[2].get_content_type() in (
                "message/rfc822", "message/global")
            self.original = email.message_from_bytes(
                self.bytes_of(parts[2]))

    @staticmethod
    def bytes_of(part):
        body = part.get_payload()
        if isinstance(body, list):  # message/rfc822, global, global-headers
            return bytes(body[0])
        return part.get_payload(decode=True) if part.get(
            "Content-Transfer-Encoding") else \
            body.encode("utf-8", "surrogateescape")

    @staticmethod
    def blocks(part):
        """What the package made of message/delivery-status."""
        found = part.get_payload()
        if isinstance(found, str):  # global-: it does not know it
            found = [email.message_from_string(b) for b in
                     re.split(r"\r?\n\r?\n", found.strip())]
        elif part.get_content_type().endswith("global-delivery-status"):
            text = bytes(found[0]).decode()
            found = [email.message_from_string(b) for b in
                     re.split(r"\r?\n\r?\n", text.strip())]
        return [b for b in found if b.keys()]

    def check_lines(self):
        """What stood in it, without what a Maildir made of its line ends."""
        for line in self.data.split(b"\n"):
            line = line[:-1] if line.endswith(b"\r") else line
            assert b"\r" not in line and b"\0" not in line, line
            assert len(line) <= 998, f"a line of {len(line)}"

    def check_header(self):
        m = self.mail
        equal(m.get_content_type(), "multipart/report", "the report's type")
        equal(m.get_param("report-type"), "delivery-status", "report-type")
        for name, pattern in (
                ("From", r"MAILER-DAEMON@"), ("To", "@"),
                ("Subject", r"\S"), ("Date", DATE),
                ("Message-ID", r"^<[^<>@\s]+@[^<>@\s]+>$"),
                ("Auto-Submitted", r"^auto-replied"),
                ("MIME-Version", r"^1\.0$")):
            equal(len(m.get_all(name, [])), 1, f"fields {name}")
            match(m[name], pattern, name)
        assert not m.defects, m.defects
        for part in m.walk():
            assert not part.defects, part.defects

    def check_fields(self):
        match(self.fields["Reporting-MTA"], r"^dns; ?\S+$", "Reporting-MTA")
        match(self.fields["Arrival-Date"], DATE, "Arrival-Date")
        assert self.rcpts, "no recipient"
        for to, f in self.rcpts.items():
            match(f["Action"], "^(failed|delayed|delivered|relayed)$",
                  "Action")
            match(f["Status"], r"^[245]\.\d{1,3}\.\d{1,3}$", "Status")
            equal(f["Status"][0], {"failed": "5", "delayed": "4"}.get(
                f["Action"], "2"), "class of the status")
            if "Remote-MTA" in f:
                match(f["Remote-MTA"], r"^dns; ?\S", "Remote-MTA")
            if "Diagnostic-Code" in f:
                match(f["Diagnostic-Code"], r"^(smtp|X-Postern); ?\S",
                      "Diagnostic-Code")
            if "Last-Attempt-Date" in f:
                match(f["Last-Attempt-Date"], DATE, "Last-Attempt-Date")
            if f["Action"] == "delayed":
                match(f["Will-Retry-Until"], DATE, "Will-Retry-Until")
            if to.isascii():
                assert to in self.text, f"{to} is not in the text"

    def check_rcpt(self, to, action, status, diagnostic=None, remote=None):
        """The fields of one recipient."""
        f = self.rcpts[to]
        equal(f["Action"], action, f"{to}: Action")
        match(f["Status"], f"^{status}$", f"{to}: Status")
        if diagnostic:
            match(re.sub(r"\r?\n\s+", " ", f["Diagnostic-Code"] or ""),
                  diagnostic, f"{to}: Diagnostic-Code")
        if remote:
            match(f["Remote-MTA"], remote, f"{to}: Remote-MTA")
        return f


def reports(mails):
    """Those among mails (bytes) that are reports."""
    return [Report(m) for m in mails
            if re.search(rb"(?mi)^Content-Type: *multipart/report", m)]
