/*
 * The text: a line "D day told over domain rua" for a domain's day, behind it
 * "P kind successes failures text mx-patterns" for each policy, and behind
 * that "F result count mx mx-address our-address reason" for each way to fail.
 * In texts, what is not printable, a blank or '%' is %XX; an empty one is "-".
 */
#include "queue/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

/* DECODED_MAX: more than the longest texts of a line (edges/queue_delivery.h).
 */
enum { DECODED_MAX = 16384 };

static const uint64_t count_max = INT64_MAX;

static int
tally_cmp(const struct tally *a, const struct tally *b)
{
	if (a->day != b->day)
		return a->day < b->day ? -1 : 1;
	return strcmp(a->domain, b->domain);
}

TREE_DEFINE(tally_tree, tally, node, tally_cmp)

void
tallies_init(struct tallies *t)
{
	RB_INIT(&t->tree);
	t->nentries = t->bytes = 0;
}

/* --- room --- */

/* Is there room for one more, with so many bytes of text? Then it is taken. */
static bool
take_room(struct tallies *t, size_t bytes)
{
	if (t->nentries >= TALLY_ENTRIES_MAX ||
	    bytes > TALLY_BYTES_MAX - t->bytes)
		return false;
	t->nentries++;
	t->bytes += bytes;
	return true;
}

/* The same for a failure: one domain does not take the room of all others, and
 * nobody is sent more than is worth reading. */
static bool
take_room_for_details(struct tallies *t, struct tally *tally, size_t bytes)
{
	if (bytes > TALLY_DETAILS_MAX - tally->details || !take_room(t, bytes))
		return false;
	tally->details += bytes;
	return true;
}

/* A text that is freed. */
static void
drop(struct tallies *t, char *text)
{
	t->bytes -= strlen(text);
	free(text);
}

static void
drop_policy(struct tallies *t, struct tally_policy *p)
{
	struct tally_failure *f;

	while ((f = STAILQ_FIRST(&p->kinds)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->kinds, next);
		drop(t, f->mx);
		drop(t, f->mx_address);
		drop(t, f->our_address);
		drop(t, f->reason);
		t->nentries--;
		free(f);
	}
	drop(t, p->text);
	drop(t, p->mx_patterns);
	t->nentries--;
	free(p);
}

void
tallies_del(struct tallies *t, struct tally **tallyp)
{
	struct tally *tally = *tallyp;
	struct tally_policy *p;

	*tallyp = NULL;
	RB_REMOVE(tally_tree, &t->tree, tally);
	while ((p = STAILQ_FIRST(&tally->policies)) != NULL) {
		STAILQ_REMOVE_HEAD(&tally->policies, next);
		drop_policy(t, p);
	}
	drop(t, tally->domain);
	drop(t, tally->rua);
	t->nentries--;
	free(tally);
}

void
tallies_clear(struct tallies *t)
{
	struct tally *tally;

	while ((tally = RB_MIN(tally_tree, &t->tree)) != NULL)
		tallies_del(t, &tally);
}

/* --- finding and adding --- */

struct tally *
tallies_find(struct tallies *t, uint32_t day, struct str domain)
{
	struct tally key = { .day = day, .domain = str_dup(domain) };
	struct tally *found;

	for (char *p = key.domain; *p != '\0'; p++)
		*p = chr_lower(*p);
	found = RB_FIND(tally_tree, &t->tree, &key);
	free(key.domain);
	return found;
}

struct tally *
tallies_next(struct tallies *t, struct tally *after)
{
	return after == NULL ? RB_MIN(tally_tree, &t->tree) :
			       RB_NEXT(tally_tree, &t->tree, after);
}

static struct tally *
add_tally(struct tallies *t, uint32_t day, struct str domain, struct str rua)
{
	struct tally *tally;

	if (!take_room(t, domain.len + rua.len))
		return NULL;
	tally = xcalloc(1, sizeof(*tally));
	tally->day = day;
	tally->domain = str_dup(domain);
	for (char *p = tally->domain; *p != '\0'; p++)
		*p = chr_lower(*p);
	tally->rua = str_dup(rua);
	STAILQ_INIT(&tally->policies);
	RB_INSERT(tally_tree, &t->tree, tally);
	return tally;
}

static struct tally_policy *
add_policy(struct tallies *t, struct tally *tally, enum tls_policy kind,
    struct str text, struct str mx_patterns)
{
	struct tally_policy *p;

	STAILQ_FOREACH(p, &tally->policies, next)
		if (p->kind == kind && str_eq(str_of(p->text), text) &&
		    str_eq(str_of(p->mx_patterns), mx_patterns))
			return p;
	if (tally->npolicies == TALLY_POLICIES_MAX ||
	    !take_room(t, text.len + mx_patterns.len))
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->kind = kind;
	p->text = str_dup(text);
	p->mx_patterns = str_dup(mx_patterns);
	STAILQ_INIT(&p->kinds);
	STAILQ_INSERT_TAIL(&tally->policies, p, next);
	tally->npolicies++;
	return p;
}

static bool
is_like(const struct tally_failure *f, const struct tell_tls_tally *m)
{
	return f->result == (enum tls_result)m->result &&
	       str_eq(str_of(f->mx), m->mx) &&
	       str_eq(str_of(f->mx_address), m->mx_address) &&
	       str_eq(str_of(f->our_address), m->our_address) &&
	       str_eq(str_of(f->reason), m->reason);
}

static void
count(uint64_t *sum, uint64_t n)
{
	*sum = n < count_max - *sum ? *sum + n : count_max;
}

/* What there is no room for is counted without its details. */
static void
add_failure(struct tallies *t, struct tally *tally, struct tally_policy *p,
    const struct tell_tls_tally *m, uint64_t n)
{
	struct tally_failure *f;

	STAILQ_FOREACH(f, &p->kinds, next)
		if (is_like(f, m)) {
			count(&f->count, n);
			return;
		}
	if (p->nkinds == TALLY_FAILURES_MAX ||
	    !take_room_for_details(t, tally,
		m->mx.len + m->mx_address.len + m->our_address.len +
		    m->reason.len))
		return;
	f = xcalloc(1, sizeof(*f));
	f->result = (enum tls_result)m->result;
	f->mx = str_dup(m->mx);
	f->mx_address = str_dup(m->mx_address);
	f->our_address = str_dup(m->our_address);
	f->reason = str_dup(m->reason);
	f->count = n;
	STAILQ_INSERT_TAIL(&p->kinds, f, next);
	p->nkinds++;
}

/* The last one told counts. */
static void
set_rua(struct tallies *t, struct tally *tally, struct str rua)
{
	if (str_eq(str_of(tally->rua), rua) ||
	    rua.len > TALLY_BYTES_MAX - t->bytes)
		return;
	drop(t, tally->rua);
	tally->rua = str_dup(rua);
	t->bytes += rua.len;
}

/* A text ends with its first NUL: there is none in an honest one. */
static struct str
whole(struct str s)
{
	return str_head(s, str_find(s, '\0'));
}

int
tallies_add(struct tallies *t, const struct tell_tls_tally *m)
{
	struct tell_tls_tally n = *m;
	struct tally *tally;
	struct tally_policy *p;

	n.domain = whole(n.domain);
	n.rua = whole(n.rua);
	n.mx = whole(n.mx);
	n.mx_address = whole(n.mx_address);
	n.our_address = whole(n.our_address);
	n.reason = whole(n.reason);
	tally = tallies_find(t, n.day, n.domain);
	if (tally == NULL)
		tally = add_tally(t, n.day, n.domain, n.rua);
	if (tally == NULL || tally->over || tally->told != 0 ||
	    tally->nsending > 0)
		return -1;
	set_rua(t, tally, n.rua);
	p = add_policy(t, tally, (enum tls_policy)n.policy,
	    whole(n.policy_text), whole(n.mx_patterns));
	if (p == NULL) {
		if (tally->npolicies == 0)
			tallies_del(t, &tally);
		return -1;
	}
	if (n.result == TLS_RESULT_SUCCESS) {
		count(&p->successes, n.count);
	} else {
		count(&p->failures, n.count);
		add_failure(t, tally, p, &n, n.count);
	}
	return 0;
}

/* --- text --- */

static void
add_word(struct buf *out, const char *text)
{
	buf_add_char(out, ' ');
	if (*text == '\0')
		buf_add_char(out, '-');
	for (const char *p = text; *p != '\0'; p++) {
		bool dash = p == text && *p == '-';

		if (*p > ' ' && *p < 0x7f && *p != '%' && !dash)
			buf_add_char(out, *p);
		else
			buf_addf(out, "%%%02X", (unsigned char)*p);
	}
}

static void
format_policy(const struct tally_policy *p, struct buf *out)
{
	const struct tally_failure *f;

	buf_addf(out, "P %d %" PRIu64 " %" PRIu64, (int)p->kind, p->successes,
	    p->failures);
	add_word(out, p->text);
	add_word(out, p->mx_patterns);
	buf_add_char(out, '\n');
	STAILQ_FOREACH(f, &p->kinds, next) {
		buf_addf(out, "F %d %" PRIu64, (int)f->result, f->count);
		add_word(out, f->mx);
		add_word(out, f->mx_address);
		add_word(out, f->our_address);
		add_word(out, f->reason);
		buf_add_char(out, '\n');
	}
}

void
tallies_format(const struct tallies *t, struct buf *out)
{
	const struct tally_policy *p;
	struct tally *tally;

	RB_FOREACH(
	    tally, tally_tree, (struct tally_tree *)(uintptr_t)&t->tree) {
		buf_addf(out, "D %" PRIu32 " %" PRIu32 " %d", tally->day,
		    tally->told, tally->over);
		add_word(out, tally->domain);
		add_word(out, tally->rua);
		buf_add_char(out, '\n');
		STAILQ_FOREACH(p, &tally->policies, next)
			format_policy(p, out);
	}
}

/* A line, its numbers and decoded texts. */
struct line {
	struct tallies *t;
	struct tally *tally;         /* the last one */
	struct tally_policy *policy; /* its last one */
	uint64_t numbers[3];
	struct str texts[4];
	char decoded[DECODED_MAX];
};

static int
hex_digit(char c)
{
	if (chr_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Of two digits; -1: they are none. */
static int
hex_pair(const char *p)
{
	int high = hex_digit(p[0]), low = hex_digit(p[1]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Into the room behind *used. */
static int
decode(struct line *l, size_t *used, struct str word, struct str *out)
{
	char *begin = l->decoded + *used;
	size_t n = 0;

	if (word.len == 0)
		return -1;
	if (str_eq(word, STR("-")))
		word = STR("");
	for (size_t i = 0; i < word.len; i++) {
		int c = (unsigned char)word.p[i];

		if (c == '%') {
			c = word.len - i < 3 ? -1 : hex_pair(word.p + i + 1);
			i += 2;
		}
		if (c <= 0 || *used + n == sizeof(l->decoded))
			return -1;
		begin[n++] = (char)c;
	}
	*out = (struct str){ begin, n };
	*used += n;
	return 0;
}

static int
add_line_tally(struct line *l)
{
	if (l->numbers[2] > 1 || l->texts[0].len == 0 ||
	    l->numbers[0] > UINT32_MAX || l->numbers[1] > UINT32_MAX ||
	    tallies_find(l->t, (uint32_t)l->numbers[0], l->texts[0]) != NULL)
		return -1;
	l->policy = NULL;
	l->tally =
	    add_tally(l->t, (uint32_t)l->numbers[0], l->texts[0], l->texts[1]);
	if (l->tally == NULL)
		return -1;
	l->tally->told = (uint32_t)l->numbers[1];
	l->tally->over = l->numbers[2] != 0;
	return 0;
}

static int
add_line_policy(struct line *l)
{
	if (l->tally == NULL || l->numbers[0] > TLS_POLICY_STS)
		return -1;
	l->policy = add_policy(l->t, l->tally, (enum tls_policy)l->numbers[0],
	    l->texts[0], l->texts[1]);
	if (l->policy == NULL)
		return -1;
	l->policy->successes = l->numbers[1];
	l->policy->failures = l->numbers[2];
	return 0;
}

static int
add_line_failure(struct line *l)
{
	struct tell_tls_tally m = { .mx = l->texts[0],
		.mx_address = l->texts[1],
		.our_address = l->texts[2],
		.reason = l->texts[3] };

	if (l->policy == NULL || l->numbers[0] == TLS_RESULT_SUCCESS ||
	    l->numbers[0] > TLS_RESULT_STS_WEBPKI_INVALID)
		return -1;
	m.result = (uint8_t)l->numbers[0];
	add_failure(l->t, l->tally, l->policy, &m, l->numbers[1]);
	return 0;
}

static const struct {
	const char *letter;
	size_t nnumbers, ntexts;
	int (*add)(struct line *l);
} lines[] = {
	{ "D", 3, 2, add_line_tally },
	{ "P", 3, 2, add_line_policy },
	{ "F", 2, 4, add_line_failure },
};

static int
parse_line(struct line *l, struct str text)
{
	struct str letter = str_cut(&text, ' ');
	size_t k = 0, used = 0;

	while (k < sizeof(lines) / sizeof(lines[0]) &&
	       !str_eq(letter, str_of(lines[k].letter)))
		k++;
	if (k == sizeof(lines) / sizeof(lines[0]))
		return -1;
	for (size_t i = 0; i < lines[k].nnumbers; i++)
		if (str_to_u64(
			str_cut(&text, ' '), count_max, &l->numbers[i]) == -1)
			return -1;
	for (size_t i = 0; i < lines[k].ntexts; i++)
		if (decode(l, &used, str_cut(&text, ' '), &l->texts[i]) == -1)
			return -1;
	return text.len > 0 ? -1 : lines[k].add(l);
}

int
tallies_parse(struct tallies *t, struct str text)
{
	struct line *l = xcalloc(1, sizeof(*l));
	int rc = 0;

	l->t = t;
	while (text.len > 0 && rc == 0)
		rc = parse_line(l, str_cut(&text, '\n'));
	free(l);
	return rc;
}
