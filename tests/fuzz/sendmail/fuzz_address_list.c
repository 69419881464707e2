/* Lists of addresses, and whole headers with them: what comes out is an
 * address, or refused; nothing blind is left. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/header.h"
#include "sendmail/letter.h"
#include "sendmail/reading.h"
#include "submit/hand_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct taken {
	struct str list;
	struct submission m;
};

static int
same(void *ctx, struct str address, const char *end)
{
	const struct str *before = ctx;

	(void)end;
	assert(str_eq(*before, address));
	return 0;
}

static int
take(void *ctx, struct str address, const char *end)
{
	struct taken *t = ctx;
	size_t n = t->m.nto, len = t->m.to.len;

	if (t->list.p != NULL)
		assert(end >= t->list.p && end <= t->list.p + t->list.len);
	if (submission_add_to(&t->m, address) == -1) {
		assert(t->m.nto == n);
		return -1;
	}
	/* One line each, or an address would be a command. */
	struct str added = str_skip(buf_str(&t->m.to), len);
	assert(str_find(added, '\n') == added.len - 1);
	assert(str_find(added, '\r') == added.len);
	/* In brackets of its own an address is itself. */
	struct buf alone;
	buf_init(&alone, address.len + 2);
	buf_add_char(&alone, '<');
	buf_add_str(&alone, address);
	buf_add_char(&alone, '>');
	assert(address_list(buf_str(&alone), same, &address) == NULL);
	buf_clear(&alone);
	return 0;
}

static void
fuzz_list(struct str s)
{
	struct taken t = { .list = s };

	submission_init(&t.m);
	address_list(s, take, &t);
	submission_clear(&t.m);
}

static void
fuzz_letter(struct str s)
{
	struct writer w = { s, STR("a@b.example"), STR("b.example") };
	struct taken t = { .list = { NULL, 0 } };
	struct buf content, out;
	struct reading r;
	struct letter l;
	struct str name;
	struct header_field f;

	buf_init(&content, SIZE_MAX / 2);
	buf_init(&out, SIZE_MAX / 2);
	submission_init(&t.m);
	reading_init(&r, &content, true);
	/* However it is split. */
	reading_feed(&r, str_head(s, s.len / 2));
	reading_feed(&r, str_skip(s, s.len / 2));
	reading_end(&r);
	letter_init(&l, buf_str(&content));
	letter_recipients(&l, take, &t, &name);
	letter_compose(&l, &w, &out);
	size_t pos = 0, nfrom = 0;
	while (header_next(buf_str(&out), &pos, &f)) {
		assert(!str_eq_nocase(f.name, STR("Bcc")));
		nfrom += str_eq_nocase(f.name, STR("From")) ||
			 str_eq_nocase(f.name, STR("Resent-From"));
	}
	assert(nfrom > 0);
	/* All of it is header, and the empty line. */
	assert(pos + 2 == out.len && memcmp(out.p + pos, "\r\n", 2) == 0);
	letter_clear(&l);
	submission_clear(&t.m);
	buf_clear(&content);
	buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };

	fuzz_list(s);
	fuzz_letter(s);
	return 0;
}
