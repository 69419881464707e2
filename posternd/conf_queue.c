/* `limit`, `queue` and `deliver`: the numbers of lib/rules/config.h. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "posternd/conf_parse.h"

enum unit { UNIT_size, UNIT_count, UNIT_time, UNIT_rate };

static conf_parse_fn *const unit_fns[] = {
	[UNIT_size] = conf_set_size,
	[UNIT_count] = conf_set_count,
	[UNIT_time] = conf_set_time,
	[UNIT_rate] = conf_set_rate,
};

static int
set_number(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	return unit_fns[k->value](p, k, into);
}

/* A row for a number of type's lists. */
#define NUMBER(type, fn, field, word, unit, least, most) \
	{ .name = (word),                                \
		.parse = (fn),                           \
		.offset = offsetof(type, field),         \
		.min = (least),                          \
		.max = (most),                           \
		.value = UNIT_##unit },

#define LIMIT(field, word, unit, def, least, most) \
	NUMBER(struct limits, set_number, field, word, unit, least, most)
#define QUEUE(field, word, unit, def, least, most) \
	NUMBER(                                    \
	    struct queue_settings, set_number, field, word, unit, least, most)
#define DELIVER(field, word, unit, def, least, most)                        \
	NUMBER(struct deliver_line, set_deliver, numbers.field, word, unit, \
	    least, most)

/* clang-format off */
static const struct conf_keyword limit_options[] = {
	LIMITS(LIMIT)
	CONF_NO_MORE
};

/* clang-format on */

/* queue retry T T T ...: up to what is not a time. */
static int
set_retry(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct queue_settings *q = into;
	const struct conf_token *t;
	uint64_t ms;

	(void)k;
	q->nretry = 0;
	for (;;) {
		t = conf_peek_word(p);
		if (q->nretry > 0 &&
		    (t->kind != CONF_WORD || !chr_is_digit(t->text.p[0])))
			return 0;
		if (q->nretry == CONFIG_RETRIES_MAX)
			return conf_error(
			    p, "more than %d times", CONFIG_RETRIES_MAX);
		if (conf_take_time(p, 1000, 8640000000, &ms) == -1)
			return -1;
		q->retry_s[q->nretry++] = (uint32_t)((ms + 999) / 1000);
	}
}

/* queue report-milters { ... } */
static int
set_report_milters(
    struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	(void)k;
	(void)into;
	p->config->report_milters = conf_take_milters(p);
	return p->config->report_milters == NULL ? -1 : 0;
}

/* clang-format off */
static const struct conf_keyword queue_options[] = {
	CONF_OPTION("retry", set_retry),
	CONF_OPTION("report-milters", set_report_milters),
	QUEUE_NUMBERS(QUEUE)
	CONF_NO_MORE
};
/* clang-format on */

static int set_deliver(
    struct conf_parser *p, const struct conf_keyword *k, void *into);

/* clang-format off */
static const struct conf_keyword deliver_options[] = {
	DELIVER_NUMBERS(DELIVER)
	CONF_NO_MORE
};

/* clang-format on */

/* The set bits count the list's rows. */
static int
set_deliver(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct deliver_line *line = into;

	line->set |= UINT64_C(1) << (k - deliver_options);
	return unit_fns[k->value](p, k, into);
}

static int
need_option(struct conf_parser *p)
{
	if (!conf_at_end(p))
		return 0;
	return conf_error(p, "expected an option, not %s",
	    conf_kind_text(conf_peek(p)->kind));
}

int
conf_limit(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;

	(void)k;
	if (need_option(p) == -1)
		return -1;
	return conf_options(p, limit_options, &c->limits, CONF_ONCE_A_FILE);
}

int
conf_queue(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct config *c = into;

	(void)k;
	if (need_option(p) == -1)
		return -1;
	return conf_options(p, queue_options, &c->queue, CONF_ONCE_A_FILE);
}

/* clang-format off */
static const struct conf_keyword deliver_for[] = {
	CONF_OPTION("domain", conf_deliver),
	CONF_NO_MORE
};

/* clang-format on */

int
conf_deliver(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct deliver_line line = { .domains = NULL };
	struct config *c = into;

	(void)k;
	if (conf_take_word(p, "for")) {
		if (conf_take_keyword(p, deliver_for, "word behind `for'") ==
		    NULL)
			return -1;
		line.domains = conf_take_table(p, TABLE_FOR_DOMAIN);
		if (line.domains == NULL)
			return -1;
	}
	if (need_option(p) == -1)
		return -1;
	if (conf_options(p, deliver_options, &line, CONF_ONCE_A_STATEMENT) ==
	    -1)
		return -1;
	c->delivers =
	    xreallocarray(c->delivers, c->ndelivers + 1, sizeof(*c->delivers));
	c->delivers[c->ndelivers++] = line;
	return 0;
}
