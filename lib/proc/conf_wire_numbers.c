/* The plain numbers of a configuration on the wire: each list's u64 fields in
 * its order. */
#include "lib/base/bytes.h"
#include "lib/proc/conf_wire_parts.h"

enum {
	LIST_LIMITS = 0,
	LIST_QUEUE = 1,
	LIST_DELIVER = 2,
	NUMBERS_MAX = 128,
	DELIVERS_MAX = 65536 /* far beyond any real configuration */
};

/* --- numbers: the u64 fields of a list in its order --- */

#define NUMBERS_size(field)  numbers[n++] = &from->field;
#define NUMBERS_count(field) numbers[n++] = &from->field;
#define NUMBERS_time(field)  numbers[n++] = &from->field;
#define NUMBERS_rate(field)          \
	numbers[n++] = &from->field; \
	numbers[n++] = &from->field##_period;
#define NUMBER(field, keyword, unit, def, min, max) NUMBERS_##unit(field)

static size_t
limits_numbers(struct limits *from, uint64_t **numbers)
{
	size_t n = 0;
	LIMITS(NUMBER)
	return n;
}

static size_t
queue_numbers(struct queue_settings *from, uint64_t **numbers)
{
	size_t n = 0;
	QUEUE_NUMBERS(NUMBER)
	return n;
}

static size_t
deliver_numbers(struct deliver_numbers *from, uint64_t **numbers)
{
	size_t n = 0;
	DELIVER_NUMBERS(NUMBER)
	return n;
}

static int
send_list(struct channel *ch, struct tell_conf_numbers *m, uint64_t **numbers,
    size_t n)
{
	uint8_t bytes[NUMBERS_MAX * sizeof(uint64_t)];
	for (size_t i = 0; i < n; i++)
		put_le64(bytes + i * sizeof(uint64_t), *numbers[i]);
	m->numbers = (struct str){ (const char *)bytes, n * sizeof(uint64_t) };
	return channel_tell(ch, TYPE_tell_conf_numbers, m, 0);
}

int
part_send_numbers(struct channel *ch, const struct config *c)
{
	uint64_t *numbers[NUMBERS_MAX];
	struct limits limits = c->limits;
	struct tell_conf_numbers m = { .list = LIST_LIMITS, .domains = NO_ID };
	if (send_list(ch, &m, numbers, limits_numbers(&limits, numbers)) == -1)
		return -1;
	struct queue_settings queue = c->queue;
	m.list = LIST_QUEUE;
	return send_list(ch, &m, numbers, queue_numbers(&queue, numbers));
}

int
part_send_delivers(struct channel *ch, const struct config *c)
{
	uint64_t *numbers[NUMBERS_MAX];
	for (size_t i = 0; i < c->ndelivers; i++) {
		struct deliver_line line = c->delivers[i];
		struct tell_conf_numbers m = { .list = LIST_DELIVER,
			.domains = part_table_id(c, line.domains),
			.set = line.set };
		size_t n = deliver_numbers(&line.numbers, numbers);
		if (send_list(ch, &m, numbers, n) == -1)
			return -1;
	}
	return 0;
}

static int
take_list(struct str bytes, uint64_t **numbers, size_t n)
{
	if (bytes.len != n * sizeof(uint64_t))
		return -1;
	for (size_t i = 0; i < n; i++)
		*numbers[i] =
		    get_le64((const uint8_t *)bytes.p + i * sizeof(uint64_t));
	return 0;
}

static int
take_deliver(struct config *c, const struct tell_conf_numbers *m)
{
	uint64_t *numbers[NUMBERS_MAX];
	struct deliver_line line = { .set = m->set };
	if (c->ndelivers >= DELIVERS_MAX ||
	    part_table_of(c, m->domains, &line.domains) == -1)
		return -1;
	size_t n = deliver_numbers(&line.numbers, numbers);
	if (take_list(m->numbers, numbers, n) == -1)
		return -1;
	c->delivers = part_one_more(c->delivers, c->ndelivers, sizeof(line));
	c->delivers[c->ndelivers++] = line;
	return 0;
}

int
part_take_numbers(struct config *c, const void *msg)
{
	const struct tell_conf_numbers *m = msg;
	uint64_t *numbers[NUMBERS_MAX];
	switch (m->list) {
	case LIST_LIMITS:
		return take_list(
		    m->numbers, numbers, limits_numbers(&c->limits, numbers));
	case LIST_QUEUE:
		return take_list(
		    m->numbers, numbers, queue_numbers(&c->queue, numbers));
	case LIST_DELIVER:
		return take_deliver(c, m);
	default:
		return -1;
	}
}

int
part_send_retries(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->queue.nretry; i++) {
		struct tell_conf_retry m = { .seconds = c->queue.retry_s[i] };
		if (channel_tell(ch, TYPE_tell_conf_retry, &m, 0) == -1)
			return -1;
	}
	return 0;
}

int
part_take_retry(struct config *c, const void *msg)
{
	const struct tell_conf_retry *m = msg;
	if (c->queue.nretry >= CONFIG_RETRIES_MAX)
		return -1;
	c->queue.retry_s[c->queue.nretry++] = m->seconds;
	return 0;
}
