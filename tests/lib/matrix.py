"""Matrix S: every way to stand around a lone dot, and a reference that says
where content ends and whether it is clean."""
import re

LEFT = {
    "CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "CRCRLF": b"\r\r\n",
    "LFCR": b"\n\r", "LFLF": b"\n\n", "CRLFLF": b"\r\n\n",
    "LF CRLF": b"\n\r\n", "CRLF NUL": b"\r\n\0", "NUL CRLF": b"\0\r\n",
    "CRLF SP": b"\r\n ", "CRLF TAB": b"\r\n\t", "CRLF BS": b"\r\n\b",
    "VT": b"\v", "FF": b"\f", "NEL": b"\x85", "LS": "\u2028".encode(),
    "start": None, "64K": b"x" * 65536}
RIGHT = {
    "CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "CRCRLF": b"\r\r\n",
    "LFCR": b"\n\r", "CRCR": b"\r\r", "CRLFLF": b"\r\n\n",
    "NUL CRLF": b"\0\r\n", "CRLF NUL": b"\r\n\0", "SP CRLF": b" \r\n",
    "TAB CRLF": b"\t\r\n", ". CRLF": b".\r\n", "EOF": None,
    "CR|LF": (b"\r", b"\n")}
FORGED = b"MAIL FROM:<forged@evil.example>\r\nRCPT TO:<x@example.net>\r\n" \
    b"DATA\r\nX-Token: forged\r\n\r\nforged\r\n"
END = b"\r\n.\r\n"


def expect(content):
    """The reference: where content (all that follows DATA's CRLF) ends, and
    whether it is clean. (None, _) when it does not end."""
    text = b"\r\n" + content
    i = text.find(END)
    if i < 0:
        return None, False
    message = text[:i + 2]
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", message)
    return i + len(END) - 2, not bare


def content_of(left, right, token):
    """(pieces to send, all bytes)"""
    head = b"" if left is None else \
        f"X-Token: {token}\r\n\r\nbegin".encode() + left
    if right is None:
        return [head + b"."]
    if isinstance(right, tuple):
        return [head + b"." + right[0], right[1] + FORGED]
    return [head + b"." + right + FORGED]
