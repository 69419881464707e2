/* Filters and sets of them on the wire. */
#include "lib/base/bytes.h"
#include "lib/proc/conf_wire_parts.h"

enum {
	/* Far beyond any real configuration. */
	MILTERS_MAX = 65536,
	SETS_MAX = 65536,
	MEMBER_BYTES = 2 * sizeof(uint32_t),
	MEMBERS_BYTES = MILTER_SET_MAX * MEMBER_BYTES
};

/* --- filters --- */

static int
send_sockets(struct channel *ch, const struct milter *f)
{
	for (size_t i = 0; i < f->nsockets; i++) {
		const struct milter_socket *s = &f->sockets[i];
		char text[ADDR_TEXT_MAX];
		struct tell_conf_milter_socket m = { .text = str_of(s->text),
			.path = str_of(s->path),
			.host = str_of(s->host),
			.ipv6 = s->ipv6,
			.port = s->port };
		if (s->path == NULL && s->host == NULL)
			m.address = str_of(addr_format(&s->addr, text));
		if (channel_tell(ch, TYPE_tell_conf_milter_socket, &m, 0) == -1)
			return -1;
	}
	return 0;
}

int
part_send_milters(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->nmilters; i++) {
		const struct milter *f = &c->milters[i];
		struct tell_conf_milter m = { .id = (uint32_t)i,
			.line = f->line,
			.name = str_of(f->name),
			.on_failure = (uint8_t)f->on_failure,
			.shadow = f->shadow,
			.lock_step = f->lock_step,
			.after_queue = f->after_queue,
			.connect_timeout = f->connect_timeout,
			.command_timeout = f->command_timeout,
			.content_timeout = f->content_timeout,
			.total_timeout = f->total_timeout,
			.connections = f->connections,
			.failures = f->failures,
			.rest = f->rest };
		if (channel_tell(ch, TYPE_tell_conf_milter, &m, 0) == -1 ||
		    send_sockets(ch, f) == -1)
			return -1;
	}
	return 0;
}

bool
part_has_all_sockets(const struct config *c)
{
	return c->nmilters == 0 || c->milters[c->nmilters - 1].nsockets > 0;
}

int
part_take_milter(struct config *c, const void *msg)
{
	const struct tell_conf_milter *m = msg;
	/* Sets point into the array: it may not move any more. */
	if (m->id != c->nmilters || c->nmilters >= MILTERS_MAX ||
	    c->nmilter_sets > 0 || m->name.len == 0 || !part_has_all_sockets(c))
		return -1;
	c->milters =
	    part_one_more(c->milters, c->nmilters, sizeof(struct milter));
	c->milters[c->nmilters++] = (struct milter){ .id = m->id,
		.line = m->line,
		.name = str_dup(m->name),
		.on_failure = (enum milter_failure)m->on_failure,
		.shadow = m->shadow != 0,
		.lock_step = m->lock_step != 0,
		.after_queue = m->after_queue != 0,
		.connect_timeout = m->connect_timeout,
		.command_timeout = m->command_timeout,
		.content_timeout = m->content_timeout,
		.total_timeout = m->total_timeout,
		.connections = m->connections,
		.failures = m->failures,
		.rest = m->rest };
	return 0;
}

int
part_take_socket(struct config *c, const void *msg)
{
	const struct tell_conf_milter_socket *m = msg;
	struct addr addr = { .family = ADDR_NONE };
	if (c->nmilters == 0 || c->nmilter_sets > 0 || m->text.len == 0)
		return -1;
	struct milter *f = &c->milters[c->nmilters - 1];
	if (f->nsockets == MILTER_SOCKETS_MAX)
		return -1;
	if ((m->path.len > 0) + (m->host.len > 0) + (m->address.len > 0) != 1 ||
	    (m->path.len == 0 && m->port == 0) ||
	    (m->address.len > 0 && addr_parse(m->address, &addr) == -1))
		return -1;
	f->sockets[f->nsockets++] =
	    (struct milter_socket){ .text = str_dup(m->text),
		    .path = part_text_or_null(m->path),
		    .host = part_text_or_null(m->host),
		    .ipv6 = m->ipv6 != 0,
		    .addr = addr,
		    .port = m->port };
	return 0;
}

uint32_t
part_set_id(const struct milter_set *s)
{
	return s == NULL ? NO_ID : s->id;
}

int
part_set_of(const struct config *c, uint32_t id, const struct milter_set **out)
{
	*out = NULL;
	if (id == NO_ID)
		return 0;
	if (id >= c->nmilter_sets)
		return -1;
	*out = &c->milter_sets[id];
	return 0;
}

int
part_send_sets(struct channel *ch, const struct config *c)
{
	for (size_t i = 0; i < c->nmilter_sets; i++) {
		const struct milter_set *s = &c->milter_sets[i];
		uint8_t bytes[MEMBERS_BYTES];
		for (size_t k = 0; k < s->n; k++) {
			uint8_t *at = bytes + k * MEMBER_BYTES;
			put_le32(at, s->members[k].milter->id);
			put_le32(at + sizeof(uint32_t), s->members[k].step);
		}
		struct tell_conf_milter_set m = { .id = (uint32_t)i,
			.members = {
			    (const char *)bytes, s->n * MEMBER_BYTES } };
		if (channel_tell(ch, TYPE_tell_conf_milter_set, &m, 0) == -1)
			return -1;
	}
	return 0;
}

/* Steps count up from 0 without gaps. */
static int
take_members(const struct config *c, struct str bytes, struct milter_set *s)
{
	uint32_t step = 0;
	for (; s->n * MEMBER_BYTES < bytes.len; s->n++) {
		const uint8_t *at =
		    (const uint8_t *)bytes.p + s->n * MEMBER_BYTES;
		uint32_t id = get_le32(at);
		uint32_t next = get_le32(at + sizeof(uint32_t));
		if (id >= c->nmilters ||
		    (next != step && (s->n == 0 || next != step + 1)))
			return -1;
		step = next;
		s->members[s->n] =
		    (struct milter_member){ &c->milters[id], step };
	}
	return 0;
}

int
part_take_set(struct config *c, const void *msg)
{
	const struct tell_conf_milter_set *m = msg;
	struct milter_set s = { .id = m->id };
	/* Listeners and rules point into the array: it may not move any
	 * more. */
	if (m->id != c->nmilter_sets || c->nmilter_sets >= SETS_MAX ||
	    c->nlisteners > 0 || c->nrules > 0 || !part_has_all_sockets(c) ||
	    m->members.len % MEMBER_BYTES != 0 ||
	    m->members.len > MEMBERS_BYTES ||
	    take_members(c, m->members, &s) == -1)
		return -1;
	c->milter_sets = part_one_more(
	    c->milter_sets, c->nmilter_sets, sizeof(struct milter_set));
	c->milter_sets[c->nmilter_sets++] = s;
	return 0;
}
