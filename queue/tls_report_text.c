/* JSON (RFC 8460 4), gzip, a multipart/report (5.3); see tls_report_text.h. */
#include "queue/tls_report_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/clock.h"
#include "lib/mail/base64.h"
#include "lib/mail/envelope.h"
#include "lib/mail/path.h"
#include "queue/report_mime.h"

enum {
	DAY_S = 86400,
	BASE64_LINE = 57, /* bytes in a line of 76 */
	GZIP = 15 + 16    /* zlib's window, and that it is gzip */
};

static const char *const policy_names[] = {
	[TLS_POLICY_NONE] = "no-policy-found",
	[TLS_POLICY_TLSA] = "tlsa",
	[TLS_POLICY_STS] = "sts",
};

static const char *const result_names[] = {
	[TLS_RESULT_SUCCESS] = "",
	[TLS_RESULT_NO_STARTTLS] = "starttls-not-supported",
	[TLS_RESULT_HOST_MISMATCH] = "certificate-host-mismatch",
	[TLS_RESULT_NOT_TRUSTED] = "certificate-not-trusted",
	[TLS_RESULT_EXPIRED] = "certificate-expired",
	[TLS_RESULT_VALIDATION] = "validation-failure",
	[TLS_RESULT_TLSA_INVALID] = "tlsa-invalid",
	[TLS_RESULT_DNSSEC_INVALID] = "dnssec-invalid",
	[TLS_RESULT_DANE_REQUIRED] = "dane-required",
	[TLS_RESULT_STS_FETCH_ERROR] = "sts-policy-fetch-error",
	[TLS_RESULT_STS_INVALID] = "sts-policy-invalid",
	[TLS_RESULT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
};

const char *
tls_report_day(uint32_t day, char out[static 11])
{
	char text[25];

	clock_format_rfc3339((uint64_t)day * DAY_S * 1000, text);
	(void)snprintf(out, 11, "%.10s", text);
	return out;
}

/* Who sends it: the domain of its address, which a signature is of, too. */
static struct str
submitter(const struct tls_report *r)
{
	struct str from = str_of(r->by->from);
	size_t at = from.len;

	while (at > 0 && from.p[at - 1] != '@')
		at--;
	return at > 0 ? str_skip(from, at) : r->hostname;
}

struct str
tls_report_id(const struct tls_report *r, struct buf *out)
{
	struct str by = submitter(r);
	char day[11];

	buf_reset(out);
	buf_addf(out, "%s.%s@%.*s", tls_report_day(r->tally->day, day),
	    r->tally->domain, (int)by.len, by.p);
	return buf_str(out);
}

/* --- JSON --- */

/* "key":"value", unless it is empty. */
static void
add_text(struct buf *out, const char *before, const char *value)
{
	if (*value == '\0')
		return;
	buf_addf(out, "%s:", before);
	buf_add_json(out, str_of(value));
}

/* ["…","…"], of what stands between c. */
static void
add_list(struct buf *out, struct str texts, char c)
{
	bool first = true;

	buf_add_char(out, '[');
	while (texts.len > 0) {
		struct str one = str_trim(str_cut(&texts, c));

		if (one.len == 0)
			continue;
		if (!first)
			buf_add_char(out, ',');
		buf_add_json(out, one);
		first = false;
	}
	buf_add_char(out, ']');
}

static void
add_failure(struct buf *out, const struct tally_failure *f)
{
	buf_addf(out, "{\"result-type\":\"%s\"", result_names[f->result]);
	add_text(out, ",\"sending-mta-ip\"", f->our_address);
	add_text(out, ",\"receiving-mx-hostname\"", f->mx);
	add_text(out, ",\"receiving-ip\"", f->mx_address);
	buf_addf(out, ",\"failed-session-count\":%" PRIu64, f->count);
	add_text(out, ",\"failure-reason-code\"", f->reason);
	buf_add_char(out, '}');
}

static void
add_policy(struct buf *out, const struct tally *t, const struct tally_policy *p)
{
	const struct tally_failure *f;

	buf_addf(
	    out, "{\"policy\":{\"policy-type\":\"%s\"", policy_names[p->kind]);
	if (*p->text != '\0') {
		buf_add_str(out, STR(",\"policy-string\":"));
		add_list(out, str_of(p->text), '\n');
	}
	add_text(out, ",\"policy-domain\"", t->domain);
	if (*p->mx_patterns != '\0') {
		buf_add_str(out, STR(",\"mx-host\":"));
		add_list(out, str_of(p->mx_patterns), ' ');
	}
	buf_addf(out,
	    "},\"summary\":{\"total-successful-session-count\":%" PRIu64
	    ",\"total-failure-session-count\":%" PRIu64 "}",
	    p->successes, p->failures);
	if (!STAILQ_EMPTY(&p->kinds)) {
		buf_add_str(out, STR(",\"failure-details\":["));
		STAILQ_FOREACH(f, &p->kinds, next) {
			if (f != STAILQ_FIRST(&p->kinds))
				buf_add_char(out, ',');
			add_failure(out, f);
		}
		buf_add_char(out, ']');
	}
	buf_add_char(out, '}');
}

int
tls_report_json(const struct tls_report *r, struct buf *out)
{
	const struct tally_policy *p;
	struct buf id;
	char day[11];

	tls_report_day(r->tally->day, day);
	buf_init(&id, TLS_REPORT_NAME_MAX);
	buf_reset(out);
	buf_add_str(out, STR("{\"organization-name\":"));
	buf_add_json(out, str_of(r->by->organization));
	buf_addf(out,
	    ",\"date-range\":{\"start-datetime\":\"%sT00:00:00Z\","
	    "\"end-datetime\":\"%sT23:59:59Z\"}",
	    day, day);
	buf_add_str(out, STR(",\"contact-info\":"));
	buf_add_json(out, str_of(r->by->contact));
	buf_add_str(out, STR(",\"report-id\":"));
	buf_add_json(out, tls_report_id(r, &id));
	buf_add_str(out, STR(",\"policies\":["));
	STAILQ_FOREACH(p, &r->tally->policies, next) {
		if (p != STAILQ_FIRST(&r->tally->policies))
			buf_add_char(out, ',');
		add_policy(out, r->tally, p);
	}
	buf_add_str(out, STR("]}\n"));
	buf_clear(&id);
	return out->failed ? -1 : 0;
}

/* Appended. 0/-1 */
static int
add_gzip(struct str in, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.p,
		.avail_in = (uInt)in.len };
	int rc = -1;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP, 8,
		Z_DEFAULT_STRATEGY) != Z_OK)
		return -1;
	size_t room = deflateBound(&z, (uLong)in.len);
	char *p = buf_reserve(out, room);
	if (p != NULL) {
		z.next_out = (Bytef *)p;
		z.avail_out = (uInt)room;
		rc = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -1;
		buf_commit(out, room - z.avail_out);
	}
	deflateEnd(&z);
	return rc;
}

/* --- the mail --- */

static void
add_field(struct buf *out, const char *before, struct str s, const char *after)
{
	struct clean text;

	mime_clean(&text, s, false);
	buf_addf(out, "%s%.*s%s", before, (int)text.s.len, text.s.p, after);
}

static void
add_date(struct buf *out, const char *before, uint64_t wall_ms)
{
	char text[32];

	clock_format_rfc5322(wall_ms, text);
	buf_addf(out, "%s%s\r\n", before, text);
}

static void
add_header(const struct tls_report *r, struct buf *out)
{
	struct str domain = str_of(r->tally->domain), by = submitter(r);
	struct buf id;

	buf_init(&id, TLS_REPORT_NAME_MAX);
	add_field(out, "Received: by ", r->hostname, " (postern)");
	add_field(out, " id ", r->id, ";");
	add_date(out, "\r\n\t", r->now_ms);
	add_field(out, "From: <", str_of(r->by->from), ">\r\n");
	add_field(out, "To: <", r->to, ">\r\n");
	add_field(out, "Subject: Report Domain: ", domain, "\r\n");
	add_field(out, "\tSubmitter: ", by, "\r\n");
	add_field(out, "\tReport-ID: <", tls_report_id(r, &id), ">\r\n");
	add_date(out, "Date: ", r->now_ms);
	add_field(out, "Message-ID: <", r->id, "@");
	add_field(out, "", r->hostname, ">\r\n");
	add_field(out, "TLS-Report-Domain: ", domain, "\r\n");
	add_field(out, "TLS-Report-Submitter: ", by, "\r\n");
	/* 5.3.1 for the hosts behind the next one, too: RFC 8689 3 */
	buf_add_str(out, STR("TLS-Required: No\r\n"));
	buf_add_str(out, STR("Auto-Submitted: auto-generated\r\n"));
	buf_add_str(out, STR("MIME-Version: 1.0\r\n"));
	buf_add_str(out,
	    STR("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"));
	add_field(out, "\tboundary=\"report-", r->id, "\"\r\n");
	buf_add_str(out, STR("\r\n"));
	buf_clear(&id);
}

/* submitter!domain!begin!end!id.json.gz (5.1) */
static void
add_file_name(const struct tls_report *r, struct buf *out)
{
	uint64_t begin = (uint64_t)r->tally->day * DAY_S;
	struct buf name;

	buf_init(&name, TLS_REPORT_NAME_MAX);
	buf_add_str(&name, submitter(r));
	buf_addf(&name, "!%s!%" PRIu64 "!%" PRIu64 "!", r->tally->domain, begin,
	    begin + DAY_S - 1);
	buf_add_str(&name, r->id);
	add_field(out, "\tfilename=\"", buf_str(&name), ".json.gz\"\r\n");
	buf_clear(&name);
}

static void
add_people_part(const struct tls_report *r, struct buf *out)
{
	struct str by = submitter(r);
	char day[11];

	add_field(out, "--report-", r->id, "\r\n");
	buf_add_str(out, STR("Content-Type: text/plain; charset=us-ascii\r\n"
			     "Content-Transfer-Encoding: 7bit\r\n\r\n"));
	add_field(out, "This is an aggregate TLS report from ", by, ",\r\n");
	add_field(out, "about its connections to mail hosts of ",
	    str_of(r->tally->domain), "\r\n");
	buf_addf(
	    out, "on %s (UTC).\r\n\r\n", tls_report_day(r->tally->day, day));
}

static void
add_base64(struct buf *out, struct str data)
{
	while (data.len > 0) {
		base64_encode(str_head(data, BASE64_LINE), out);
		buf_add_str(out, STR("\r\n"));
		data = str_skip(data, BASE64_LINE);
	}
}

static int
add_report_part(const struct tls_report *r, struct buf *out)
{
	struct buf json, gzip;
	int rc;

	buf_init(&json, TLS_REPORT_MAX);
	buf_init(&gzip, TLS_REPORT_MAX);
	rc = tls_report_json(r, &json);
	if (rc == 0)
		rc = add_gzip(buf_str(&json), &gzip);
	add_field(out, "--report-", r->id, "\r\n");
	buf_add_str(out, STR("Content-Type: application/tlsrpt+gzip\r\n"
			     "Content-Transfer-Encoding: base64\r\n"
			     "Content-Disposition: attachment;\r\n"));
	add_file_name(r, out);
	buf_add_str(out, STR("\r\n"));
	add_base64(out, buf_str(&gzip));
	add_field(out, "\r\n--report-", r->id, "--\r\n");
	buf_clear(&gzip);
	buf_clear(&json);
	return rc;
}

int
tls_report_build(
    const struct tls_report *r, struct buf *out, uint32_t *header_size)
{
	buf_reset(out);
	add_header(r, out);
	*header_size = (uint32_t)out->len;
	add_people_part(r, out);
	return add_report_part(r, out) == -1 || out->failed ? -1 : 0;
}

/* --- to whom --- */

static int
hex_value(char c)
{
	c = chr_lower(c);
	if (chr_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Of two digits; -1: they are none. */
static int
hex_pair(const char *p)
{
	int high = hex_value(p[0]), low = hex_value(p[1]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* RFC 3986 2.1; appended. 0/-1 */
static int
add_unescaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] != '%') {
			buf_add_char(out, s.p[i]);
			continue;
		}
		int c = s.len - i < 3 ? -1 : hex_pair(s.p + i + 1);

		if (c == -1)
			return -1;
		buf_add_char(out, (char)c);
		i += 2;
	}
	return 0;
}

/* One that mail can go to, as it is: plain ASCII. */
static bool
is_usable(struct str address)
{
	struct path p;

	if (address.len == 0 || address.len > ENVELOPE_ADDRESS_MAX ||
	    path_split(address, &p) == -1 || p.local.len == 0 ||
	    !path_is_domain(p.domain, false))
		return false;
	for (size_t i = 0; i < address.len; i++)
		if (address.p[i] <= ' ' || address.p[i] > '~' ||
		    address.p[i] == '<' || address.p[i] == '>')
			return false;
	return true;
}

/* The field rua of the record; behind the version, fields end with ';'. */
static struct str
find_rua(struct str record)
{
	(void)str_cut(&record, ';');
	while (record.len > 0) {
		struct str field = str_cut(&record, ';');
		struct str name = str_trim(str_cut(&field, '='));

		if (str_eq(name, STR("rua")))
			return field;
	}
	return STR("");
}

/* The address of a URI, appended and checked. A size behind '!' was meant for
 * others; headers behind '?' are not ours to set. 0/-1 */
static int
add_address(struct buf *text, struct str uri)
{
	struct str scheme = STR("mailto:"), address = str_skip(uri, scheme.len);
	size_t begin = text->len;

	address = str_head(address, str_find(address, '?'));
	address = str_head(address, str_find(address, '!'));
	if (str_starts_nocase(uri, scheme) &&
	    add_unescaped(text, address) == 0 &&
	    is_usable(str_skip(buf_str(text), begin)))
		return 0;
	text->len = begin;
	return -1;
}

static bool
is_listed(const struct str *list, size_t n, struct str address)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_nocase(list[i], address))
			return true;
	return false;
}

size_t
tls_report_addresses(struct str rua, struct buf *text,
    struct str out[static TLS_REPORT_TO_MAX], size_t *nother)
{
	struct str uris = find_rua(rua);
	size_t n = 0, begin;

	*nother = 0;
	buf_reset(text);
	/* It does not move: out points into it. */
	(void)buf_reserve(text, uris.len);
	while (uris.len > 0) {
		struct str uri = str_trim(str_cut(&uris, ','));

		if (uri.len == 0)
			continue;
		begin = text->len;
		if (n == TLS_REPORT_TO_MAX || add_address(text, uri) == -1) {
			(*nother)++;
			continue;
		}
		out[n] = str_skip(buf_str(text), begin);
		if (is_listed(out, n, out[n]))
			text->len = begin;
		else
			n++;
	}
	return n;
}
