/* The walk over header blocks and boundaries; what is held back, and why. */
#include "delivery/downgrade.h"

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/mime_field.h"
#include "delivery/quoted.h"
#include "lib/base/alloc.h"

enum {
	LINE_ROOM = 1000, /* looked at at once; a boundary is shorter */
	DEPTH_MAX = 100,
	TYPE_MAX = 4096, /* of a Content-Type field */
	DECLARED_MAX = 4096 /* of Content-Transfer-Encoding fields */,
	FIELDS_MAX = 65536, /* fields behind those */
	LOOK_MAX = 131072   /* of a body that may be of 7 bits */
};

/* What lines of the mail belong to. */
enum state {
	IN_FIELDS,
	IN_LOOK,   /* a body; whether it has 8-bit bytes will show */
	IN_ENCODE, /* a body that becomes quoted-printable */
	IN_QUOTED, /* one that is that already */
	IN_OPAQUE  /* one without 8-bit bytes, or no body: between parts */
};

struct multipart {
	SLIST_ENTRY(multipart) outer;
	bool digest;
	size_t len;
	char boundary[];
};

struct downgrade {
	enum state state;
	bool mid;   /* what comes is not at the beginning of a line */
	bool whole; /* and it is all of its line */
	size_t nline;
	char line[LINE_ROOM];
	SLIST_HEAD(, multipart) parts; /* the innermost first */
	unsigned int depth;
	/* the present header block */
	enum mime_field field; /* whose lines come */
	bool first;            /* its first line is to come */
	bool at_top;           /* it is a message's, not a part's */
	bool has_version;
	bool is_digest; /* without Content-Type it is of a message */
	bool spilled;   /* more fields than can be held: they have left */
	/* Content-Type; its boundary; Content-Transfer-Encoding, raw; the
	 * fields behind those, and the empty line if there was one; the body
	 * so far */
	struct buf type, boundary, declared, fields, body;
	bool blank;
	struct quoted quoted;
	/* where to: of the present call */
	downgrade_out *out;
	void *ctx;
	size_t nroom;
	char room[4096];
};

static const char eol[] = "\r\n";

struct downgrade *
downgrade_new(void)
{
	struct downgrade *d = xcalloc(1, sizeof(*d));

	SLIST_INIT(&d->parts);
	buf_init(&d->type, TYPE_MAX);
	buf_init(&d->boundary, MIME_BOUNDARY_MAX);
	buf_init(&d->declared, DECLARED_MAX);
	buf_init(&d->fields, FIELDS_MAX);
	buf_init(&d->body, LOOK_MAX);
	d->first = d->at_top = true;
	return d;
}

static void
pop_multipart(struct downgrade *d)
{
	struct multipart *m = SLIST_FIRST(&d->parts);

	SLIST_REMOVE_HEAD(&d->parts, outer);
	d->depth--;
	free(m);
}

void
downgrade_free(struct downgrade **dp)
{
	struct downgrade *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	while (!SLIST_EMPTY(&d->parts))
		pop_multipart(d);
	buf_clear(&d->type);
	buf_clear(&d->boundary);
	buf_clear(&d->declared);
	buf_clear(&d->fields);
	buf_clear(&d->body);
	free(d);
}

/* --- out --- */

static void
flush(struct downgrade *d)
{
	if (d->nroom > 0)
		d->out(d->ctx, d->room, d->nroom);
	d->nroom = 0;
}

static void
put(struct downgrade *d, const char *p, size_t len)
{
	if (len > sizeof(d->room) - d->nroom)
		flush(d);
	if (len > sizeof(d->room)) {
		d->out(d->ctx, p, len);
		return;
	}
	if (len > 0)
		memcpy(d->room + d->nroom, p, len);
	d->nroom += len;
}

static void
put_buf(struct downgrade *d, struct buf *b)
{
	put(d, b->p, b->len);
	buf_reset(b);
}

static void
put_text(struct downgrade *d, const char *text)
{
	put(d, text, strlen(text));
}

static void
put_opaque(struct downgrade *d, struct str s, bool end)
{
	size_t begin = 0;

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80) {
			put(d, s.p + begin, i - begin);
			put_text(d, "?");
			begin = i + 1;
		}
	put(d, s.p + begin, s.len - begin);
	if (end)
		put_text(d, eol);
}

/* Only what may not stand there is put right. */
static void
put_quoted(struct downgrade *d, struct str s, bool end)
{
	char hex[QUOTED_ROOM];
	size_t begin = 0;

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80) {
			struct quoted q = { 0 };

			put(d, s.p + begin, i - begin);
			put(d, hex, quoted_byte(&q, s.p[i], hex));
			begin = i + 1;
		}
	put(d, s.p + begin, s.len - begin);
	if (end)
		put_text(d, eol);
}

static void
put_encoded(struct downgrade *d, struct str s, bool end)
{
	char out[QUOTED_ROOM];

	for (size_t i = 0; i < s.len; i++)
		put(d, out, quoted_byte(&d->quoted, s.p[i], out));
	if (end)
		put(d, out, quoted_line_end(&d->quoted, true, out));
}

/* --- the end of a header block: what becomes of the body --- */

/* The fields that were held, with how the body is encoded: as it was declared
 * (NULL), or anew. */
static void
put_fields(struct downgrade *d, const char *encoding)
{
	if (encoding == NULL) {
		put_buf(d, &d->declared);
		put_buf(d, &d->fields);
		return;
	}
	buf_reset(&d->declared);
	if (d->at_top && !d->has_version)
		put_text(d, "MIME-Version: 1.0\r\n");
	put_text(d, "Content-Transfer-Encoding: ");
	put_text(d, encoding);
	put_text(d, eol);
	put_buf(d, &d->fields);
}

static void
put_blank(struct downgrade *d)
{
	if (d->blank)
		put_text(d, eol);
	d->blank = false;
}

static void
begin_fields(struct downgrade *d, bool at_top, bool digest)
{
	d->state = IN_FIELDS;
	d->field = MIME_FIELD_OTHER;
	d->first = true;
	d->at_top = at_top;
	d->is_digest = digest;
	d->has_version = d->spilled = d->blank = false;
	buf_reset(&d->type);
	buf_reset(&d->declared);
	buf_reset(&d->fields);
	buf_reset(&d->body);
	d->quoted = (struct quoted){ 0 };
}

static void
begin_encoding(struct downgrade *d)
{
	put_fields(d, "quoted-printable");
	d->blank = true; /* an encoded line may look like a field */
	put_blank(d);
	d->state = IN_ENCODE;
}

static void
push_multipart(struct downgrade *d, bool digest)
{
	struct multipart *m = xmalloc(sizeof(*m) + d->boundary.len);

	m->digest = digest;
	m->len = d->boundary.len;
	memcpy(m->boundary, d->boundary.p, m->len);
	SLIST_INSERT_HEAD(&d->parts, m, outer);
	d->depth++;
}

static enum mime_encoding
declared_encoding(const struct downgrade *d)
{
	struct str s = buf_str(&d->declared);

	if (d->declared.failed) /* longer than any honest one */
		return MIME_8BIT;
	return mime_encoding_parse(str_skip(s, str_find(s, ':') + 1));
}

static enum mime_type
declared_type(struct downgrade *d)
{
	struct str s = buf_str(&d->type);

	if (s.len == 0)
		return d->is_digest ? MIME_MESSAGE : MIME_LEAF;
	return mime_type_parse(str_skip(s, str_find(s, ':') + 1), &d->boundary);
}

/* A body that has parts or a message in it. Its own encoding can only be one
 * of those that are none. */
static void
begin_composite(
    struct downgrade *d, enum mime_type type, enum mime_encoding encoding)
{
	put_fields(d, encoding == MIME_8BIT ? "7bit" : NULL);
	d->blank = true; /* what is put behind it is not to be a field of it */
	put_blank(d);
	if (type == MIME_MESSAGE) {
		begin_fields(d, true, false);
		return;
	}
	push_multipart(d, type == MIME_DIGEST);
	d->state = IN_OPAQUE;
}

static void
begin_body(struct downgrade *d)
{
	enum mime_encoding encoding = declared_encoding(d);
	enum mime_type type = declared_type(d);
	bool plain = encoding == MIME_UNSAID || encoding == MIME_8BIT;

	if ((type == MIME_MESSAGE && plain) ||
	    ((type == MIME_MULTIPART || type == MIME_DIGEST) &&
		d->depth < DEPTH_MAX)) {
		begin_composite(d, type, encoding);
		return;
	}
	switch (encoding) {
	case MIME_UNSAID:
		d->state = IN_LOOK;
		break;
	case MIME_8BIT:
		begin_encoding(d);
		break;
	case MIME_QUOTED:
	case MIME_ENCODED:
		put_fields(d, NULL);
		put_blank(d);
		d->state = encoding == MIME_QUOTED ? IN_QUOTED : IN_OPAQUE;
		break;
	}
}

/* --- lines, by state; end: the CRLF is here too --- */

static void take_text(struct downgrade *d, struct str s, bool end);

static bool
is_eight_bit(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* What was held back of a body that is to be encoded after all. */
static void
encode_body(struct downgrade *d)
{
	struct str s = buf_str(&d->body);

	begin_encoding(d);
	for (size_t i = 0; i < s.len; i++) {
		bool end = i + 1 < s.len && memcmp(s.p + i, eol, 2) == 0;

		put_encoded(d, (struct str){ s.p + i, !end }, end);
		i += end;
	}
	buf_reset(&d->body);
}

static void
on_look(struct downgrade *d, struct str s, bool end)
{
	bool fits = s.len + sizeof(eol) <= LOOK_MAX - d->body.len;

	if (!fits || is_eight_bit(s)) {
		encode_body(d);
		put_encoded(d, s, end);
		return;
	}
	buf_add_str(&d->body, s);
	if (end)
		buf_add(&d->body, eol, 2);
}

/* The first line of a mailbox's mail, which some pass on with it. */
static bool
is_mbox_line(const struct downgrade *d, struct str s)
{
	return d->first && d->at_top && s.len >= 5 &&
	       memcmp(s.p, "From ", 5) == 0;
}

/* A line of the header block begins; false: it is none. */
static bool
begin_line(struct downgrade *d, struct str s)
{
	if (s.p[0] == ' ' || s.p[0] == '\t')
		return true;
	if (!mime_field_find(s, &d->field) && !is_mbox_line(d, s))
		return false;
	/* The first one counts. */
	if (d->field == MIME_FIELD_TYPE && d->type.len > 0)
		d->field = MIME_FIELD_OTHER;
	if (d->field == MIME_FIELD_VERSION)
		d->has_version = true;
	return true;
}

/* A field leaves at once, but behind the encoding that was declared: that can
 * be another in the end. */
static void
add_field_text(struct downgrade *d, struct str s, bool end)
{
	size_t len = s.len + (end ? 2 : 0);
	struct buf *held = &d->fields;

	if (d->field == MIME_FIELD_TYPE)
		buf_add_str(&d->type, s);
	if (d->field == MIME_FIELD_DECLARED)
		held = &d->declared;
	else if (len > FIELDS_MAX - d->fields.len)
		d->spilled = true;
	if (held == &d->fields && (d->declared.len == 0 || d->spilled)) {
		put_buf(d, &d->fields);
		put(d, s.p, s.len);
		put(d, eol, end ? 2 : 0);
		return;
	}
	buf_add_str(held, s);
	buf_add(held, eol, end ? 2 : 0);
}

static void
on_fields(struct downgrade *d, struct str s, bool end)
{
	if (!d->mid && s.len == 0) {
		d->blank = end;
		begin_body(d);
		return;
	}
	if (!d->mid && !begin_line(d, s)) {
		/* Without such bytes it may look like a field. */
		d->blank = is_eight_bit(s);
		begin_body(d);
		take_text(d, s, end);
		return;
	}
	d->first = false;
	add_field_text(d, s, end);
}

static void
on_text(struct downgrade *d, struct str s, bool end)
{
	static void (*const by_state[])(
	    struct downgrade *, struct str, bool) = {
		[IN_FIELDS] = on_fields,
		[IN_LOOK] = on_look,
		[IN_ENCODE] = put_encoded,
		[IN_QUOTED] = put_quoted,
		[IN_OPAQUE] = put_opaque,
	};

	by_state[d->state](d, s, end);
}

/* --- boundaries --- */

/* The present part is over. */
static void
end_part(struct downgrade *d)
{
	char out[QUOTED_ROOM];

	switch (d->state) {
	case IN_FIELDS:
	case IN_LOOK:
		put_fields(d, NULL);
		put_blank(d);
		put_buf(d, &d->body);
		break;
	case IN_ENCODE:
		put(d, out, quoted_line_end(&d->quoted, false, out));
		break;
	case IN_QUOTED:
	case IN_OPAQUE:
		break;
	}
	d->state = IN_OPAQUE;
}

/* Is the line `--boundary' (or with `--' behind it: closes), and perhaps
 * blanks? */
static bool
is_delimiter(const struct multipart *m, struct str s, bool *closes)
{
	if (s.len < 2 + m->len || memcmp(s.p, "--", 2) != 0 ||
	    memcmp(s.p + 2, m->boundary, m->len) != 0)
		return false;
	s = str_skip(s, 2 + m->len);
	*closes = s.len >= 2 && memcmp(s.p, "--", 2) == 0;
	if (*closes)
		s = str_skip(s, 2);
	return str_trim(s).len == 0;
}

/* Whose delimiter a whole line is ends all that is within. */
static bool
take_delimiter(struct downgrade *d, struct str s)
{
	struct multipart *m;
	bool closes = false;

	SLIST_FOREACH(m, &d->parts, outer)
	if (is_delimiter(m, s, &closes))
		break;
	if (m == NULL)
		return false;
	end_part(d);
	while (SLIST_FIRST(&d->parts) != m)
		pop_multipart(d);
	put(d, s.p, s.len);
	if (closes)
		pop_multipart(d);
	else
		begin_fields(d, false, m->digest);
	return true;
}

/* --- in --- */

/* Again for the line that ends a header block: it may be a delimiter of what
 * has begun by it. */
static void
take_text(struct downgrade *d, struct str s, bool end)
{
	if (d->whole && take_delimiter(d, s))
		put(d, eol, end ? 2 : 0);
	else
		on_text(d, s, end);
}

/* What the line has, all of it (end: with its CRLF; whole: it is the last,
 * without) or the part there is room for. */
static void
take_line(struct downgrade *d, bool end, bool whole)
{
	struct str s = { d->line, d->nline };

	d->nline = 0;
	d->whole = !d->mid && (end || whole);
	take_text(d, s, end);
	d->mid = !end;
}

static void
feed_byte(struct downgrade *d, char c)
{
	if (c == '\n' && d->nline > 0 && d->line[d->nline - 1] == '\r') {
		d->nline--;
		take_line(d, true, false);
		return;
	}
	if (d->nline == LINE_ROOM)
		take_line(d, false, false);
	d->line[d->nline++] = c;
}

void
downgrade_feed(
    struct downgrade *d, struct str in, downgrade_out *out, void *ctx)
{
	d->out = out;
	d->ctx = ctx;
	for (size_t i = 0; i < in.len; i++)
		feed_byte(d, in.p[i]);
	flush(d);
}

void
downgrade_end(struct downgrade *d, downgrade_out *out, void *ctx)
{
	d->out = out;
	d->ctx = ctx;
	if (d->nline > 0)
		take_line(d, false, true);
	end_part(d);
	flush(d);
}
