/* block, allow, unblock; show blocks. */
#include <stdio.h>
#include <string.h>

#include "lib/net/addr.h"
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/rows.h"
#include "posternctl/text.h"

enum {
	NET_TEXT_MAX = 64,
	/* Networks that are shorter hold a good part of the world. */
	WIDE_V4 = 8,
	WIDE_V6 = 16
};

/* --- arguments --- */

static void
format_net(const struct addr_net *n, char out[static NET_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	snprintf(out, NET_TEXT_MAX, "%.50s/%u", addr_format(&n->addr, text),
	    (unsigned int)n->bits);
}

/* The network that the one with host bits set lies in: what was perhaps
 * meant. Returns 0, or -1 when it is not even that. */
static int
parse_around(struct str s, struct addr_net *out)
{
	struct str address = str_head(s, str_find(s, '/'));
	uint64_t bits, shift = 0, max = 128;

	if (addr_parse(address, &out->addr) == -1)
		return -1;
	if (out->addr.family == ADDR_V4) {
		max = 32;
		shift = str_find(address, ':') < address.len ? 96 : 0;
	}
	if (str_to_u64(str_skip(s, address.len + 1), max + shift, &bits) ==
		-1 ||
	    bits < shift)
		return -1;
	bits -= shift;
	out->bits = (uint8_t)bits;
	for (size_t i = bits; i < 128; i++)
		out->addr.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return 0;
}

/* Returns 0, or -1 (said on stderr). */
static int
parse_net(const char *word, struct addr_net *out)
{
	char text[NET_TEXT_MAX];

	if (addr_net_parse(str_of(word), out) == 0)
		return 0;
	if (parse_around(str_of(word), out) == 0) {
		format_net(out, text);
		complain("%s: bits are set behind the network's: %s is the "
			 "network",
		    word, text);
	} else {
		complain("%s: not an address or network", word);
	}
	return -1;
}

struct entry {
	struct addr_net net;
	char network[NET_TEXT_MAX];
	uint64_t duration_ms;
	const char *reason;
	bool yes;
};

static int
take_option(struct entry *e, const char *word, const char *value)
{
	bool is_reason = strcmp(word, "reason") == 0;
	bool is_known = is_reason || strcmp(word, "for") == 0;

	if (!is_known || value == NULL)
		return word_is_odd(word, is_known);
	if (is_reason) {
		e->reason = value;
		return 0;
	}
	if (filter_parse_duration(str_of(value), &e->duration_ms) == 0 &&
	    e->duration_ms > 0)
		return 0;
	complain("%s: not a duration", value);
	return -1;
}

static int
parse_entry(const struct call *c, struct entry *e)
{
	char **w = c->argv;

	*e = (struct entry){ .reason = "", .yes = c->yes };
	if (parse_net(*w++, &e->net) == -1)
		return -1;
	format_net(&e->net, e->network);
	while (*w != NULL) {
		if (strcmp(*w, "-y") == 0) {
			e->yes = true;
			w++;
			continue;
		}
		if (take_option(e, w[0], w[1]) == -1) {
			command_usage(c);
			return -1;
		}
		w += 2;
	}
	return 0;
}

/* --- changes --- */

static int
ask(const struct call *c, uint16_t type, const void *msg, const char *network,
    const char *done)
{
	struct question q = { .type = type, .msg = msg };
	struct json j = { .out = out_buf() };
	struct answer answer;

	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (status != CTL_DONE)
		return status;
	if (c->json) {
		json_open(&j, '{');
		json_key_str(&j, "network", str_of(network));
		json_key_number(&j, "changed", answer.changed);
		json_close(&j, '}');
		buf_add_char(j.out, '\n');
	} else {
		out_say("%s %s", network, done);
	}
	return CTL_DONE;
}

static bool
is_wide(const struct addr_net *n)
{
	return n->bits < (n->addr.family == ADDR_V4 ? WIDE_V4 : WIDE_V6);
}

static int
set(const struct call *c, bool allow)
{
	struct entry e;

	if (parse_entry(c, &e) == -1)
		return CTL_USAGE;
	if (!allow && is_wide(&e.net) && !e.yes) {
		complain("%s is a good part of the world: -y if it is meant",
		    e.network);
		return CTL_REFUSED;
	}
	struct ask_block m = { .network = str_of(e.network),
		.allow = allow,
		.duration_ms = e.duration_ms,
		.reason = str_of(e.reason) };
	if (m.reason.len > 512) {
		complain("the reason is too long");
		return CTL_USAGE;
	}
	return ask(c, TYPE_ask_block, &m, e.network,
	    allow ? "is allowed" : "is blocked");
}

int
do_block(const struct call *c)
{
	return set(c, false);
}

int
do_allow(const struct call *c)
{
	return set(c, true);
}

int
do_unblock(const struct call *c)
{
	char network[NET_TEXT_MAX];
	struct addr_net net;

	if (parse_net(c->argv[0], &net) == -1)
		return CTL_USAGE;
	format_net(&net, network);
	struct ask_unblock m = { .network = str_of(network) };
	return ask(c, TYPE_ask_unblock, &m, network, "has no entry any more");
}

/* --- the list --- */

static const char *
kind_of(const struct row_block *row)
{
	return row->allow ? "allow" : "deny";
}

static void
json_row(struct rows *r, const void *msg)
{
	const struct row_block *row = msg;

	json_key_str(&r->j, "network", row->network);
	json_key_str(&r->j, "kind", str_of(kind_of(row)));
	json_key(&r->j, "since");
	json_time(&r->j, row->since_ms);
	json_key(&r->j, "until");
	json_time(&r->j, row->until_ms);
	json_key_str(&r->j, "reason", row->reason);
	json_key_number(&r->j, "uid", row->uid);
}

static uint64_t
seconds_between(uint64_t from_ms, uint64_t to_ms)
{
	return to_ms > from_ms ? (to_ms - from_ms) / 1000 : 0;
}

static void
text_row(struct rows *r, const void *msg)
{
	const struct row_block *row = msg;
	char age[24], left[24] = "-";

	if (row->until_ms != 0)
		text_duration(seconds_between(r->now_ms, row->until_ms), left);
	buf_addf(&r->line, "%-6s %-6s %-6s %-6u ", kind_of(row),
	    text_duration(seconds_between(row->since_ms, r->now_ms), age), left,
	    row->uid);
	text_add(&r->line, row->network);
	if (row->reason.len > 0)
		buf_add_str(&r->line, STR("  "));
	text_add(&r->line, row->reason);
	text_end_line(out_buf(), &r->line);
}

int
show_blocks(const struct call *c)
{
	static const struct ask_blocks m;
	static const struct rows_kind kind = { TYPE_ask_blocks, TYPE_row_block,
		&m, json_row, text_row, "KIND   SINCE  LEFT   UID    NETWORK" };

	return rows_show(c, &kind);
}
