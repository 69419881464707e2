/* show routes, test match: which rule decides, why those before it do not, and
 * where the mail would go. */
#include <stdio.h>
#include <string.h>

#include "lib/net/addr.h"
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

struct match_view {
	bool json;
	struct json j;
	struct buf line;
	bool has_begun;
	bool is_found; /* a rule decides */
	bool in_hops;
	size_t nhops;
};

/* --- the rule --- */

/* As in enum verdict_kind of the rules. */
static const char *
verdict_word(uint8_t verdict)
{
	static const char *const words[] = { "action", "reject", "tempfail",
		"quarantine" };

	return verdict < sizeof(words) / sizeof(words[0]) ? words[verdict] :
							    "?";
}

static void
milters_json(struct json *j, const struct row_rule *row)
{
	struct str rest = row->milters;

	json_key(j, "milters");
	if (!row->own_filters) {
		json_null(j);
		return;
	}
	json_open(j, '[');
	while (rest.len > 0) {
		struct str name = str_head(rest, str_find(rest, ' '));

		json_str(j, name);
		rest = str_skip(rest, name.len + 1);
	}
	json_close(j, ']');
}

static void
rule_json(struct match_view *v, const struct row_rule *row)
{
	struct json *j = &v->j;

	json_open(j, '{');
	json_key(j, "rule");
	if (v->is_found) {
		json_open(j, '{');
		json_key_number(j, "line", row->line);
		json_key_str(j, "text", row->text);
		json_close(j, '}');
	} else {
		json_null(j);
	}
	json_key_str(j, "verdict", str_of(verdict_word(row->verdict)));
	json_key_str_or_null(j, "action", row->action);
	if (row->reply.len > 0)
		json_key_str(j, "reply", row->reply);
	if (row->recipient.len > 0)
		json_key_str(j, "recipient", row->recipient);
	milters_json(j, row);
	json_key(j, "passed_over");
	json_open(j, '[');
}

static void
wrap(struct match_view *v)
{
	text_wrap_line(out_buf(), &v->line, 4);
}

static void
rule_text(struct match_view *v, const struct row_rule *row)
{
	if (row->recipient.len > 0) {
		buf_add_str(&v->line, STR("postmaster's mail goes to "));
		text_add_address(&v->line, row->recipient);
		buf_add_str(&v->line, STR(", from anybody"));
		wrap(v);
	}
	if (v->is_found) {
		buf_addf(&v->line, "line %u: ", row->line);
		text_add(&v->line, row->text);
	} else {
		buf_add_str(&v->line, STR("no rule matches"));
	}
	wrap(v);
	if (row->action.len > 0) {
		buf_addf(&v->line, "%s ", verdict_word(row->verdict));
		text_add(&v->line, row->action);
	} else {
		buf_add_str(&v->line, STR("refused "));
		text_add(&v->line, row->reply);
	}
	wrap(v);
	if (!row->own_filters)
		return;
	buf_add_str(&v->line, STR("milters "));
	text_add(&v->line, row->milters.len > 0 ? row->milters : STR("none"));
	wrap(v);
}

static void
on_rule(struct match_view *v, const struct row_rule *row)
{
	v->has_begun = true;
	v->is_found = row->line > 0;
	if (v->json)
		rule_json(v, row);
	else
		rule_text(v, row);
}

static void
on_passed(struct match_view *v, const struct row_passed *row)
{
	if (v->json) {
		json_open(&v->j, '{');
		json_key_number(&v->j, "line", row->line);
		json_key_str(&v->j, "why", row->why);
		json_close(&v->j, '}');
		return;
	}
	buf_addf(&v->line, "passed over line %u: ", row->line);
	text_add(&v->line, row->why);
	wrap(v);
}

/* --- next hops --- */

static void
begin_hops(struct match_view *v)
{
	if (v->in_hops)
		return;
	v->in_hops = true;
	if (v->json) {
		json_close(&v->j, ']');
		json_key(&v->j, "hops");
		json_open(&v->j, '[');
	}
}

static void
hop_json(struct match_view *v, const struct row_hop *row)
{
	json_open(&v->j, '{');
	json_key_str(&v->j, "host", row->host);
	json_key_str_or_null(&v->j, "address", row->address);
	json_key_number(&v->j, "port", row->port);
	json_key_number(&v->j, "preference", row->preference);
	json_key_str(&v->j, "tls", row->tls);
	if (row->why.len > 0)
		json_key_str(&v->j, "why", row->why);
	json_close(&v->j, '}');
}

static void
hop_text(struct match_view *v, const struct row_hop *row)
{
	if (v->nhops++ == 0) {
		buf_add_str(
		    &v->line, STR("PREF   HOST                             "
				  "TLS            ADDRESS"));
		text_end_line(out_buf(), &v->line);
	}
	buf_addf(&v->line, "%u", row->preference);
	text_pad(&v->line, 7);
	text_add(&v->line, row->host);
	text_pad(&v->line, 40);
	text_add(&v->line, row->tls);
	text_pad(&v->line, 55);
	if (row->address.len > 0)
		text_add_socket(&v->line, row->address, row->port);
	else
		buf_add_char(&v->line, '-');
	if (row->why.len > 0) {
		buf_add_str(&v->line, STR(" ("));
		text_add(&v->line, row->why);
		buf_add_char(&v->line, ')');
	}
	wrap(v);
}

static void
on_hop(struct match_view *v, const struct row_hop *row)
{
	begin_hops(v);
	if (v->json)
		hop_json(v, row);
	else
		hop_text(v, row);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct match_view *v = ctx;

	if (type == TYPE_row_rule && !v->has_begun)
		on_rule(v, msg);
	else if (type == TYPE_row_passed && v->has_begun && !v->in_hops)
		on_passed(v, msg);
	else if (type == TYPE_row_hop && v->has_begun)
		on_hop(v, msg);
}

/* --- questions --- */

static int
run(const struct call *c, uint16_t type, const void *msg)
{
	struct match_view v = { .json = c->json, .j = { out_buf(), false } };
	struct question q = {
		.type = type, .msg = msg, .on_row = on_row, .ctx = &v
	};
	struct answer answer;

	buf_init(&v.line, 65536);
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (v.json && v.has_begun) {
		begin_hops(&v);
		json_close(&v.j, ']');
		json_close(&v.j, '}');
		buf_add_char(out_buf(), '\n');
	}
	buf_clear(&v.line);
	return status == CTL_DONE && !v.is_found ? CTL_REFUSED : status;
}

int
show_routes(const struct call *c)
{
	struct ask_routes m = { .address = str_of(c->argv[0]) };

	if (!word_fits(c->argv[0], ENVELOPE_ADDRESS_MAX))
		return CTL_USAGE;
	return run(c, TYPE_ask_routes, &m);
}

/* A word of `test match'. */
struct keyword {
	const char *word;
	size_t max;     /* of its value; 0: it has none */
	size_t at;      /* of its field: struct str, or uint8_t */
	bool is_needed; /* and <a@b> is a@b */
};

static const struct keyword keywords[] = {
	{ "client", 64, offsetof(struct ask_match, client), false },
	{ "name", 255, offsetof(struct ask_match, client_name), false },
	{ "helo", 255, offsetof(struct ask_match, helo), false },
	{ "user", 255, offsetof(struct ask_match, user), false },
	{ "tag", 64, offsetof(struct ask_match, tag), false },
	{ "tls", 0, offsetof(struct ask_match, tls), false },
	{ "early-talker", 0, offsetof(struct ask_match, early_talker), false },
	{ "from", ENVELOPE_ADDRESS_MAX, offsetof(struct ask_match, from),
	    true },
	{ "to", ENVELOPE_ADDRESS_MAX, offsetof(struct ask_match, to), true },
};

enum { NKEYWORDS = sizeof(keywords) / sizeof(keywords[0]) };

static const struct keyword *
keyword_find(const char *word)
{
	for (size_t i = 0; i < NKEYWORDS; i++)
		if (strcmp(keywords[i].word, word) == 0)
			return &keywords[i];
	return NULL;
}

/* One word and its value; *words moves behind them. 0/-1 (said). */
static int
take_word(struct ask_match *m, char ***words, uint32_t *seen)
{
	const char *word = *(*words)++, *value = **words;
	const struct keyword *k = keyword_find(word);

	if (k == NULL)
		return word_is_odd(word, false);
	if (*seen & 1U << (k - keywords)) {
		complain("%s: said twice", word);
		return -1;
	}
	*seen |= 1U << (k - keywords);
	if (k->max == 0) {
		*((uint8_t *)m + k->at) = 1;
		return 0;
	}
	if (value == NULL)
		return word_is_odd(word, true);
	if (!word_fits(value, k->max))
		return -1;
	(*words)++;
	struct str v = str_of(value);
	if (k->is_needed && v.len >= 2 && v.p[0] == '<' &&
	    v.p[v.len - 1] == '>')
		v = (struct str){ v.p + 1, v.len - 2 };
	memcpy((unsigned char *)m + k->at, &v, sizeof(v));
	return 0;
}

/* Returns 0, or -1 (said). */
static int
parse_match(struct ask_match *m, char **words)
{
	struct addr client;
	uint32_t seen = 0;

	*m = (struct ask_match){ .client = STR("local") };
	while (*words != NULL)
		if (take_word(m, &words, &seen) == -1)
			return -1;
	for (size_t i = 0; i < NKEYWORDS; i++) {
		if (!keywords[i].is_needed || (seen & 1U << i))
			continue;
		complain("`%s' is missing", keywords[i].word);
		return -1;
	}
	if (!str_eq(m->client, STR("local")) &&
	    addr_parse(m->client, &client) == -1) {
		complain("client %.*s: not an address", (int)m->client.len,
		    m->client.p);
		return -1;
	}
	return 0;
}

int
do_test_match(const struct call *c)
{
	struct ask_match m;

	if (parse_match(&m, c->argv) == -1)
		return command_usage(c);
	return run(c, TYPE_ask_match, &m);
}
