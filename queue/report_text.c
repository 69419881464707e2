/* The text of a report; see report_text.h. */
#include "queue/report_text.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/mail/envelope.h"
#include "lib/mail/header.h"
#include "lib/mail/reply.h"
#include "lib/mail/xtext.h"
#include "queue/report_mime.h"

enum {
	RCPT_FIXED = 600, /* about so much is said beside its own texts */
	QUOTED_HEADER_MAX = REPORT_HEADER_MAX / 4,
	MESSAGE_ID_MAX = 250,
	HOSTNAME_MAX = 255,
	ID_MAX = 32,
	ORIGINAL_MAX = MIME_TEXT_MAX, /* a longer original address is left out
				       */
	BOUNDARY_SIZE = 64
};

struct build {
	const struct report *r;
	struct buf *out;
	uint32_t nrcpt; /* that are told */
	bool utf8;      /* with 8-bit: all in the forms of RFC 6533 */
	bool quoted;    /* the header is quoted-printable */
	bool whole;     /* the body comes behind it */
	bool eight;     /* with 8-bit in it */
	struct str header;
	char boundary[BOUNDARY_SIZE];
};

/* --- what the kinds differ in --- */

static const struct {
	const char *subject, *action, *head, *foot;
} kinds[] = {
	[REPORT_FAILED] = {
	    .subject = "Mail could not be delivered",
	    .action = "failed",
	    .head = "could not be delivered to the recipients named here, "
		    "and it will not be tried again.",
	    .foot = "If you need help, show this report to the postmaster of "
		    "your mail system.",
	},
	[REPORT_DELAYED] = {
	    .subject = "Mail is delayed and still on its way",
	    .action = "delayed",
	    .head = "has not been delivered to the recipients named here yet. "
		    "It is tried again and again. You need not do anything, "
		    "and need not send it again. If it cannot be delivered in "
		    "the end, there will be another report.",
	    .foot = "",
	},
	[REPORT_DOUBLE] = {
	    .subject = "Mail without a sender to tell could not be delivered",
	    .action = "failed",
	    .head = "could not be delivered to the recipients named here, and "
		    "there is nobody to tell but the postmaster, who gets "
		    "this report.",
	    .foot = "",
	},
	[REPORT_SUCCESS] = {
	    .subject = "Mail was delivered",
	    .action = "delivered",
	    .head = "has reached the recipients named here, as far as can be "
		    "told. You get this report because you asked for it.",
	    .foot = "",
	},
};

/* The first row that fits; one that ends with a dot fits all that begin so. */
static const struct {
	const char *status, *says;
} sentences[] = {
	/* clang-format off */
	{ "5.1.1", "There is no such mailbox. Check the spelling of the address." },
	{ "5.1.2", "There is no such domain. Check the spelling of the address." },
	{ "5.1.3", "The address is not a valid one. Check its spelling." },
	{ "5.1.6", "The mailbox has moved, and nobody told us where." },
	{ "5.1.10", "This domain does not take any mail." },
	{ "5.1.", "The address was not accepted." },
	{ "5.2.1", "The mailbox is closed and takes no mail." },
	{ "5.2.2", "The mailbox is full. Try again later, or ask by other means." },
	{ "5.2.3", "The mail is larger than this mailbox takes. Send less at once." },
	{ "5.2.", "The mailbox does not take this mail." },
	{ "5.3.4", "The mail is larger than the server takes. Send less at once." },
	{ "5.3.", "The server of the recipient cannot take this mail." },
	{ "5.4.6", "The mail would go round in circles. Tell the postmaster." },
	{ "5.4.7", "It could not be delivered in the time it had." },
	{ "5.4.", "There is no way to the server of the recipient." },
	{ "5.6.7", "The server there takes no addresses beyond ASCII." },
	{ "5.6.", "The server of the recipient cannot take mail in this form." },
	{ "5.7.", "The server of the recipient does not want this mail." },
	{ "5.", "The mail was refused." },
	{ "4.2.2", "The mailbox is full." },
	{ "4.2.", "The mailbox does not take mail at the moment." },
	{ "4.4.", "The server of the recipient could not be reached." },
	{ "4.7.", "The server of the recipient does not want this mail yet." },
	{ "4.", "The server of the recipient did not take the mail yet." },
	{ "2.", "It was delivered." },
	{ "", "" },
	/* clang-format on */
};

static const char *
sentence(const char *status)
{
	size_t i = 0, n;

	for (; *sentences[i].status != '\0'; i++) {
		n = strlen(sentences[i].status);
		if (strncmp(sentences[i].status, status, n) == 0 &&
		    (sentences[i].status[n - 1] == '.' || status[n] == '\0'))
			break;
	}
	return sentences[i].says;
}

/* --- texts from outside --- */

static void
add_clean(struct build *b, const char *before, struct str s, const char *after)
{
	struct clean text;

	mime_clean(&text, s, b->utf8);
	buf_add_str(b->out, str_of(before));
	buf_add_str(b->out, text.s);
	buf_add_str(b->out, str_of(after));
}

/* Folded; nothing when there is nothing to say. */
static void
add_folded(
    struct build *b, const char *before, const char *indent, struct str s)
{
	struct clean text;

	mime_clean(&text, s, false);
	if (str_trim(text.s).len > 0)
		mime_fold(b->out, before, indent, text.s);
}

static void
add_date(struct build *b, const char *before, uint64_t ms)
{
	char date[32];

	clock_format_rfc5322(ms, date);
	buf_addf(b->out, "%s%s\r\n", before, date);
}

/* --- a recipient --- */

/* A reply as it is kept, taken apart: "550 5.1.1 text". */
struct said {
	bool by_server; /* it has a code */
	struct status status;
};

static struct said
take_apart(struct str reply)
{
	struct said said = { false, { 0, 0, 0 } };
	struct str rest;
	uint64_t code;

	if (str_to_u64(str_head(reply, 3), 599, &code) == 0 && code >= 200 &&
	    (reply.len == 3 || reply.p[3] == ' ')) {
		said.by_server = true;
		reply = str_trim(str_skip(reply, 3));
	}
	if (status_parse(reply, &said.status, &rest) == -1) {
		said.status = (struct status){ 0, 0, 0 };
		if (said.by_server)
			said.status.class = (uint8_t)(code / 100);
	}
	return said;
}

/* What the report claims. Who failed with nothing worse than "later" ran out
 * of time. */
static void
final_status(enum report_kind kind, const struct said *said, char out[16])
{
	struct status st = said->status;

	uint8_t class = kind == REPORT_DELAYED ? 4 :
			kind == REPORT_SUCCESS ? 2 :
						 5;

	if (class == 5 && st.class == 4)
		st = (struct status){ .class = 5, .subject = 4, .detail = 7 };
	else if (st.class != class)
		st = (struct status){ .class = class };
	status_format(&st, out);
}

/* Of "host[address]:port" the host, of "address:port" and "[address]:port"
 * the address as a literal: what a name of type dns may be (RFC 3464
 * 2.1.2). */
static void
add_host(struct build *b, struct str relay)
{
	struct str host = str_head(relay, str_find(relay, '['));

	if (host.len == 0) {
		host = str_skip(relay, 1);
		host = str_head(host, str_find(host, ']'));
		add_clean(b, "Remote-MTA: dns; [IPv6:", host, "]\r\n");
	} else if (host.len == relay.len) {
		host = str_head(host, str_find(host, ':'));
		add_clean(b, "Remote-MTA: dns; [", host, "]\r\n");
	} else {
		add_clean(b, "Remote-MTA: dns; ", host, "\r\n");
	}
}

static bool
is_relayed(const struct build *b, const struct report_rcpt *rcpt)
{
	return rcpt->relayed && b->r->kind == REPORT_SUCCESS;
}

/* Who was meant (RFC 3464 2.3.1), "type;address". Beyond ASCII it is escaped
 * where the report is not (RFC 6533 3). */
static void
add_original_recipient(struct build *b, struct str orcpt)
{
	size_t n = str_find(orcpt, ';');
	struct buf text;

	if (n >= orcpt.len)
		return;
	buf_init(&text, ORIGINAL_MAX);
	if (orcpt_is_utf8(orcpt) && !b->utf8)
		unitext_add(&text, str_skip(orcpt, n + 1), true);
	else
		buf_add_str(&text, str_skip(orcpt, n + 1));
	if (!text.failed) {
		add_clean(b, "Original-Recipient: ", str_head(orcpt, n), "; ");
		add_clean(b, "", buf_str(&text), "\r\n");
	}
	buf_clear(&text);
}

static void
add_rcpt_fields(struct build *b, const struct report_rcpt *rcpt)
{
	struct said said = take_apart(rcpt->reply);
	char status[16];

	final_status(b->r->kind, &said, status);
	buf_add_str(b->out, STR("\r\n"));
	add_original_recipient(b, rcpt->orcpt);
	add_clean(b,
	    b->utf8 && !mime_is_ascii(rcpt->to) ? "Final-Recipient: utf-8; " :
						  "Final-Recipient: rfc822; ",
	    rcpt->to, "\r\n");
	buf_addf(b->out, "Action: %s\r\nStatus: %s\r\n",
	    is_relayed(b, rcpt) ? "relayed" : kinds[b->r->kind].action, status);
	if (said.by_server && rcpt->relay.len > 0)
		add_host(b, rcpt->relay);
	add_folded(b,
	    said.by_server ? "Diagnostic-Code: smtp; " :
			     "Diagnostic-Code: X-Postern; ",
	    " ", rcpt->reply);
	if (rcpt->last_ms != 0)
		add_date(b, "Last-Attempt-Date: ", rcpt->last_ms);
	if (b->r->kind == REPORT_DELAYED)
		add_date(b, "Will-Retry-Until: ", rcpt->until_ms);
}

static void
add_rcpt_words(struct build *b, const struct report_rcpt *rcpt)
{
	struct said said = take_apart(rcpt->reply);
	char status[16];

	final_status(b->r->kind, &said, status);
	add_clean(b, "\r\n<", rcpt->to, ">\r\n");
	mime_fold(b->out, "    ", "    ",
	    str_of(is_relayed(b, rcpt) ?
		       "It was passed on to a server that does not tell what "
		       "becomes of it there." :
		       sentence(status)));
	if (said.by_server && rcpt->relay.len > 0)
		add_clean(b, "    ", rcpt->relay, " said:\r\n");
	add_folded(b, "        ", "        ", rcpt->reply);
	if (b->r->kind == REPORT_DELAYED)
		add_date(b, "    It is tried until ", rcpt->until_ms);
}

/* --- the parts --- */

/* encoding: NULL: as it is. */
static void
add_part(struct build *b, const char *type, const char *encoding)
{
	if (encoding == NULL)
		encoding = b->utf8 ? "8bit" : "7bit";
	buf_addf(b->out,
	    "\r\n--%s\r\nContent-Type: %s\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n",
	    b->boundary, type, encoding);
}

static void
add_words(struct build *b)
{
	const struct report *r = b->r;

	add_part(b,
	    b->utf8 ? "text/plain; charset=utf-8" :
		      "text/plain; charset=us-ascii",
	    NULL);
	add_clean(b, "This is the mail system at ", r->hostname, ".\r\n\r\n");
	add_date(b, r->kind == REPORT_DOUBLE ? "A mail of " : "Your mail of ",
	    r->arrival_ms);
	mime_fold(b->out, "", "", str_of(kinds[r->kind].head));
	if (r->kind == REPORT_DOUBLE)
		add_clean(b, "\r\nIts sender: <", r->from, ">\r\n");
	for (uint32_t i = 0; i < b->nrcpt; i++)
		add_rcpt_words(b, &r->rcpts[i]);
	add_clean(b, "\r\nWe know the mail as ", r->original_id,
	    b->whole      ? ". It is attached.\r\n" :
	    r->has_header ? ". Its header is attached.\r\n" :
			    ". Its header could not be read.\r\n");
	if (*kinds[r->kind].foot != '\0')
		mime_fold(b->out, "", "", str_of(kinds[r->kind].foot));
}

static void
add_fields(struct build *b)
{
	const struct report *r = b->r;

	add_part(b,
	    b->utf8 ? "message/global-delivery-status" :
		      "message/delivery-status",
	    NULL);
	if (r->envid.len > 0)
		add_clean(b, "Original-Envelope-Id: ", r->envid, "\r\n");
	add_clean(b, "Reporting-MTA: dns; ", r->hostname, "\r\n");
	add_date(b, "Arrival-Date: ", r->arrival_ms);
	add_clean(b, "X-Postern-Queue-ID: ", r->original_id, "\r\n");
	for (uint32_t i = 0; i < b->nrcpt; i++)
		add_rcpt_fields(b, &r->rcpts[i]);
}

static void
add_original(struct build *b)
{
	if (!b->r->has_header)
		return;
	if (b->whole) {
		add_part(b, b->utf8 ? "message/global" : "message/rfc822",
		    b->eight ? "8bit" : NULL);
		buf_add_str(b->out, b->r->header);
		buf_add_str(b->out, b->r->body);
		return;
	}
	add_part(b, b->utf8 ? "message/global-headers" : "text/rfc822-headers",
	    b->quoted ? "quoted-printable" : NULL);
	if (b->quoted)
		mime_quote(b->out, b->header);
	else
		buf_add_str(b->out, b->header);
}

/* --- the report's own header --- */

/* The original's Message-ID, when it is one that can be quoted. */
static struct str
message_id(struct str header)
{
	struct header_field f;
	struct str id;
	size_t pos = 0;

	while (header_next(header, &pos, &f)) {
		if (!str_eq_nocase(f.name, STR("Message-ID")))
			continue;
		id = str_trim(f.value);
		if (id.len < 3 || id.len > MESSAGE_ID_MAX || id.p[0] != '<' ||
		    str_find(id, '>') != id.len - 1)
			break;
		for (size_t i = 0; i < id.len; i++)
			if (id.p[i] <= ' ' || id.p[i] > '~')
				return STR("");
		return id;
	}
	return STR("");
}

static void
add_header(struct build *b)
{
	const struct report *r = b->r;
	struct str original = message_id(b->header);
	struct str host = str_head(r->hostname, HOSTNAME_MAX);
	struct str id = str_head(r->id, ID_MAX);

	add_clean(b, "Received: by ", host, " (postern)");
	add_clean(b, " id ", id, ";");
	add_date(b, "\r\n\t", r->now_ms);
	add_clean(
	    b, "From: Mail Delivery System <MAILER-DAEMON@", host, ">\r\n");
	add_clean(b, "To: <", r->to, ">\r\n");
	buf_addf(b->out, "Subject: %s\r\n", kinds[r->kind].subject);
	add_date(b, "Date: ", r->now_ms);
	add_clean(b, "Message-ID: <", id, "@");
	add_clean(b, "", host, ">\r\n");
	if (original.len > 0) {
		add_clean(b, "In-Reply-To: ", original, "\r\n");
		add_clean(b, "References: ", original, "\r\n");
	}
	if (r->kind == REPORT_DOUBLE)
		add_clean(b, REPORT_DOUBLE_FIELD ": ", r->original_id, "\r\n");
	/* RFC 3834 5; RFC 6522 3 */
	buf_addf(b->out,
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\n"
	    "Content-Transfer-Encoding: %s\r\n",
	    b->boundary, b->utf8 || b->eight ? "8bit" : "7bit");
}

/* --- what has to be known first --- */

static uint32_t
count_told(const struct report *r)
{
	size_t size = 0;
	uint32_t n = 0;

	while (n < r->nrcpt) {
		const struct report_rcpt *rcpt = &r->rcpts[n];

		size += RCPT_FIXED + 2 * str_head(rcpt->to, MIME_TEXT_MAX).len +
			2 * str_head(rcpt->relay, MIME_TEXT_MAX).len +
			3 * str_head(rcpt->reply, MIME_TEXT_MAX).len +
			6 * str_head(rcpt->orcpt, MIME_TEXT_MAX).len;
		if (n > 0 && size > REPORT_TOLD_MAX)
			break;
		n++;
	}
	return n;
}

/* At most max bytes, whole lines if there are any. */
static struct str
cut(struct str s, size_t max)
{
	size_t n = max;

	if (s.len <= max)
		return s;
	while (n > 0 && s.p[n - 1] != '\n')
		n--;
	return str_head(s, n > 0 ? n : max);
}

/* The header without its last, empty line. */
static void
choose_header(struct build *b)
{
	const struct report *r = b->r;
	struct str h = r->has_header ? r->header : STR("");

	if (h.len >= 4 && memcmp(h.p + h.len - 4, "\r\n\r\n", 4) == 0)
		h.len -= 2;
	b->header = cut(h, REPORT_HEADER_MAX);
	b->quoted = !mime_is_plain(b->header, r->utf8);
	if (b->quoted)
		b->header = cut(h, QUOTED_HEADER_MAX);
	/* Nothing of a message/rfc822 may be encoded (RFC 2046 5.2.1). */
	b->whole = r->returns_body && !b->quoted && b->header.len == h.len &&
		   r->body.len <= REPORT_BODY_MAX && mime_is_lines(r->body);
	b->eight = b->whole && !mime_is_ascii(r->body);
}

static bool
needs_utf8(const struct build *b)
{
	const struct report *r = b->r;

	if (!r->utf8)
		return false;
	if (!mime_is_ascii(r->to) || (!b->quoted && !mime_is_ascii(b->header)))
		return true;
	for (uint32_t i = 0; i < b->nrcpt; i++)
		if (!mime_is_ascii(r->rcpts[i].to))
			return true;
	return false;
}

static bool
contains(struct str s, const char *what)
{
	return s.len > 0 && memmem(s.p, s.len, what, strlen(what)) != NULL;
}

static bool
is_in_content(const struct build *b, const char *what)
{
	const struct report *r = b->r;

	if (contains(b->header, what) || contains(r->from, what) ||
	    contains(r->envid, what) || (b->whole && contains(r->body, what)))
		return true;
	for (uint32_t i = 0; i < b->nrcpt; i++)
		if (contains(r->rcpts[i].to, what) ||
		    contains(r->rcpts[i].reply, what) ||
		    contains(r->rcpts[i].orcpt, what))
			return true;
	return false;
}

/* No encoding makes "=_", so only what comes from outside could hold it. */
static void
choose_boundary(struct build *b)
{
	struct clean id;
	unsigned int n = 0;

	mime_clean(&id, str_head(b->r->id, ID_MAX), false);
	for (size_t i = 0; i < id.s.len; i++)
		if (!chr_is_digit(id.text[i]) && !chr_is_alpha(id.text[i]))
			id.text[i] = '_';
	do
		snprintf(b->boundary, sizeof(b->boundary), "=_%u_%.*s", n++,
		    (int)id.s.len, id.s.p);
	while (is_in_content(b, b->boundary));
}

void
report_build(const struct report *r, struct buf *out, struct report_made *made)
{
	struct build b = { .r = r, .out = out };

	buf_reset(out);
	b.nrcpt = count_told(r);
	choose_header(&b);
	b.utf8 = needs_utf8(&b);
	choose_boundary(&b);
	add_header(&b);
	*made = (struct report_made){
		.nrcpt = b.nrcpt,
		/* and the empty line, with which the first part begins */
		.header_size = (uint32_t)out->len + 2,
		.flags = (b.utf8 ? (uint32_t)ENVELOPE_SMTPUTF8 : 0) |
			 (b.utf8 || b.eight ? (uint32_t)ENVELOPE_8BIT : 0),
	};
	add_words(&b);
	add_fields(&b);
	add_original(&b);
	buf_addf(out, "\r\n--%s--\r\n", b.boundary);
}
