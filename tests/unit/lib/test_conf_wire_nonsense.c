/* A configuration that makes no sense is refused where it comes in. */
#include <check.h>
#include <string.h>

#include "lib/proc/conf_wire.h"

static struct config *
begun(void)
{
	struct config *c = NULL;
	struct tell_conf m = { .hostname = STR("h") };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf, &m), 0);
	return c;
}

static const struct tell_conf_listener no_listener = {
	.address = { "::1", 3 },
	.milters = UINT32_MAX,
	.no_milters_from = UINT32_MAX,
	.auth = UINT32_MAX,
	.senders = UINT32_MAX,
	.xclient_from = UINT32_MAX,
	.proxy_from = UINT32_MAX,
	.no_delay_for = UINT32_MAX,
};

START_TEST(refuses_nonsense)
{
	struct config *c = NULL;
	struct tell_conf_end end = { .report_milters = UINT32_MAX,
		.bare_newline_except = UINT32_MAX,
		.allow_from = UINT32_MAX,
		.deny_from = UINT32_MAX };
	/* A part without a beginning; two beginnings; an end too early. */
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), -1);
	c = begun();
	struct tell_conf again = { .hostname = STR("h") };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf, &again), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), -1);
	/* A list of the wrong length; a deliver line of no table. */
	struct tell_conf_numbers n = { .list = 0, .numbers = STR("12345678") };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_numbers, &n), -1);
	n.list = 2;
	n.domains = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_numbers, &n), -1);
	/* Ids out of order; an address that is none; a listener nowhere. */
	struct tell_conf_listener l = no_listener;
	l.id = 1;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	l.id = 0;
	l.address = STR("mx.example.com");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	l.address = STR("");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	struct tell_conf_action a = { .name = STR("x"),
		.routes = 0,
		.auth = UINT32_MAX,
		.pki = UINT32_MAX };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	/* Name servers without a port, a time or an address; too many. */
	struct tell_conf_server s = {
		.address = STR("::1"), .port = 0, .timeout_ms = 1
	};
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_server, &s), -1);
	s.port = 53;
	s.timeout_ms = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_server, &s), -1);
	s.timeout_ms = 1;
	s.address = STR("ns.example.com");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_server, &s), -1);
	s.address = STR("::1");
	for (int i = 0; i < CONFIG_SERVERS_MAX; i++)
		ck_assert_int_eq(
		    conf_receive(&c, TYPE_tell_conf_server, &s), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_server, &s), -1);
	config_unref(&c);
}

END_TEST

START_TEST(refuses_rules_that_do_not_add_up)
{
	struct config *c = begun();
	struct tell_conf_end end = { .report_milters = UINT32_MAX,
		.bare_newline_except = UINT32_MAX,
		.allow_from = UINT32_MAX,
		.deny_from = UINT32_MAX };
	struct tell_conf_retry retry = { .seconds = 1 };
	struct tell_conf_rule r = { .text = STR("match"),
		.verdict = VERDICT_ACTION,
		.milters = UINT32_MAX,
		.action = 0,
		.nconds = 1 };
	/* An action that is not there; none where one is needed. */
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), -1);
	r.action = UINT32_MAX;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), -1);
	r.verdict = VERDICT_QUARANTINE;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), -1);
	r.verdict = VERDICT_REJECT;
	struct tell_conf_cond k = { .kind = COND_TAG, .table = UINT32_MAX };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_retry, &retry), 0);
	/* Its condition is missing; needs a table; has one; one too many. */
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), -1);
	k.kind = COND_FOR_DOMAIN;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), -1);
	k.kind = COND_FCRDNS;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), -1);
	/* No actions behind rules; no table of exceptions that is not there. */
	struct tell_conf_action a = { .name = STR("x"),
		.routes = UINT32_MAX,
		.auth = UINT32_MAX,
		.pki = UINT32_MAX };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	end.bare_newline_except = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), -1);
	end.bare_newline_except = UINT32_MAX;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), 1);
	config_unref(&c);
}

END_TEST

/* --- a front door that makes no sense --- */

static void
give_table(struct config **c, uint32_t id)
{
	struct table_builder *b = table_builder_new("t");
	struct tell_conf_table m = { .id = id, .name = STR("t") };

	m.image = table_builder_seal(&b, NULL);
	ck_assert_int_eq(conf_receive(c, TYPE_tell_conf_table, &m), 0);
}

START_TEST(refuses_nonsense_of_pkis)
{
	static const struct str nul = { "a\0b", 3 };
	struct tell_conf_pki p = { .id = 1, .name = STR("mx") };
	struct tell_conf_cert cert = { .chain = STR("PEM") };
	struct tell_conf_client_ca ca = { .pem = STR("PEM") };
	struct tell_conf_listener l = no_listener;
	struct config *c = begun();
	uint8_t ids[(LISTENER_PKIS_MAX + 1) * 4] = { 0 };

	/* A certificate of nobody; out of order; no name; nothing in it. */
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cert, &cert), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_pki, &p), -1);
	p.id = 0;
	p.name = STR("");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_pki, &p), -1);
	p.name = STR("mx");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_pki, &p), 0);
	p.id = 1;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_pki, &p), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	cert.chain = nul;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cert, &cert), -1);
	cert.chain = STR("");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cert, &cert), -1);
	cert.chain = STR("PEM");
	for (int i = 0; i < PKI_CERTS_MAX; i++)
		ck_assert_int_eq(
		    conf_receive(&c, TYPE_tell_conf_cert, &cert), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cert, &cert), -1);
	/* Listeners: half an id, too many, one that is not there. */
	l.pkis = (struct str){ (const char *)ids, 3 };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	l.pkis.len = sizeof(ids);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	ids[0] = 1;
	l.pkis.len = 4;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	/* TLS without a certificate; a CA of nobody, of somebody else. */
	l.pkis.len = 0;
	l.flags = LISTENER_SMTPS;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	l.flags = LISTENER_TLS_REQUIRE;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_client_ca, &ca), -1);
	ids[0] = 0;
	l.pkis.len = 4;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), 0);
	ca.pem = nul;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_client_ca, &ca), -1);
	ca.pem = STR("PEM");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_client_ca, &ca), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_client_ca, &ca), -1);
	/* They may not move any more. */
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_pki, &p), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cert, &cert), -1);
	config_unref(&c);
}

END_TEST

START_TEST(refuses_listeners_of_unknown_tables)
{
	static const size_t tables[] = {
		offsetof(struct tell_conf_listener, no_milters_from),
		offsetof(struct tell_conf_listener, auth),
		offsetof(struct tell_conf_listener, senders),
		offsetof(struct tell_conf_listener, xclient_from),
		offsetof(struct tell_conf_listener, proxy_from),
		offsetof(struct tell_conf_listener, no_delay_for),
	};
	struct config *c = begun();

	give_table(&c, 0);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct tell_conf_listener l = no_listener;

		memset((char *)&l + tables[i], 0, sizeof(uint32_t));
		*((char *)&l + tables[i]) = 1;
		ck_assert_int_eq(
		    conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
		*((char *)&l + tables[i]) = 0;
		l.id = (uint32_t)i;
		ck_assert_int_eq(
		    conf_receive(&c, TYPE_tell_conf_listener, &l), 0);
	}
	config_unref(&c);
}

END_TEST

START_TEST(refuses_nonsense_of_dnsbls)
{
	struct tell_conf_dnsbl d = { .table = 0 };
	struct tell_conf_rule r = { .text = STR("match"),
		.verdict = VERDICT_REJECT,
		.milters = UINT32_MAX,
		.action = UINT32_MAX,
		.nconds = 3 };
	struct tell_conf_cond k = { .kind = COND_DNSBL, .table = 1 };
	struct tell_conf_end end = { .report_milters = UINT32_MAX,
		.bare_newline_except = UINT32_MAX,
		.allow_from = UINT32_MAX,
		.deny_from = UINT32_MAX };
	struct tell_conf_retry retry = { .seconds = 1 };
	struct config *c = begun();

	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_dnsbl, &d), -1);
	give_table(&c, 0);
	give_table(&c, 1);
	d.table = UINT32_MAX;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_dnsbl, &d), -1);
	d.table = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_dnsbl, &d), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), 0);
	/* None of that number; another one's table; none at all. */
	k.dnsbl = 1;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), -1);
	k.dnsbl = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), -1);
	k.table = UINT32_MAX;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), -1);
	k.table = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), 0);
	/* Of users there may be a table, of TLS not. */
	k.kind = COND_TLS;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), -1);
	k.kind = COND_AUTH;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), 0);
	k.table = UINT32_MAX;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cond, &k), 0);
	/* Not behind rules. */
	d.table = 1;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_dnsbl, &d), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_retry, &retry), 0);
	end.allow_from = 2;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), -1);
	end.allow_from = 1;
	end.deny_from = 2;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), -1);
	end.deny_from = 1;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), 1);
	config_unref(&c);
}

END_TEST

START_TEST(refuses_too_many_dnsbls)
{
	struct tell_conf_dnsbl d = { .table = 0 };
	struct config *c = begun();

	give_table(&c, 0);
	for (int i = 0; i < CONFIG_DNSBLS_MAX; i++)
		ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_dnsbl, &d), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_dnsbl, &d), -1);
	config_unref(&c);
}

END_TEST

/* --- ways out that make no sense --- */

static const struct tell_conf_action no_action = { .name = { "x", 1 },
	.routes = UINT32_MAX,
	.auth = UINT32_MAX,
	.pki = UINT32_MAX };

START_TEST(refuses_nonsense_of_actions)
{
	static const uint8_t v4[17] = { ADDR_V4, 10, 0, 0, 1 };
	static const uint8_t local[17] = { ADDR_LOCAL };
	static const uint8_t many[(ACTION_SOURCES_MAX + 1) * 17] = { ADDR_V4 };
	struct tell_conf_action a = no_action;
	struct tell_conf_pki p = { .id = 0, .name = STR("mx") };
	struct tell_conf_cert cert = { .chain = STR("PEM") };
	struct config *c = begun();

	/* Credentials of no table; a table without a label, a label without
	 * one. */
	a.auth = 0;
	a.auth_label = STR("hub");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	give_table(&c, 0);
	a.auth_label = STR("");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	a.auth = UINT32_MAX;
	a.auth_label = STR("hub");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	/* A certificate of nobody, or one that is still to come. */
	a = no_action;
	a.pki = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_pki, &p), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cert, &cert), 0);
	/* Addresses cut off, of no network, too many. */
	a.sources = (struct str){ (const char *)v4, sizeof(v4) - 1 };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	a.sources = (struct str){ (const char *)local, sizeof(local) };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	a.sources = (struct str){ (const char *)many, sizeof(many) };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	a.sources = (struct str){ (const char *)v4, sizeof(v4) };
	/* A command that is none. */
	a.kind = ACTION_MDA;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), -1);
	a.kind = ACTION_RELAY;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_action, &a), 0);
	/* What it points at may not move any more. */
	p.id = 1;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_pki, &p), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_cert, &cert), -1);
	config_unref(&c);
}

END_TEST

START_TEST(refuses_nonsense_of_tls_reports)
{
	const struct tell_conf_tls_reports whole = { .organization = STR("O"),
		.contact = STR("c@example.com"),
		.from = STR("f@example.com") };
	struct tell_conf_tls_reports r = whole;
	struct config *c = begun();

	r.organization.len = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_tls_reports, &r), -1);
	r = whole;
	r.contact.len = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_tls_reports, &r), -1);
	r = whole;
	r.from.len = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_tls_reports, &r), -1);
	r = whole;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_tls_reports, &r), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_tls_reports, &r), -1);
	config_unref(&c);
}

END_TEST

/* --- filters that make no sense --- */

static int
take_set(struct config **c, uint32_t id, const uint8_t *members, size_t n)
{
	struct tell_conf_milter_set m = { .id = id,
		.members = { (const char *)members, n } };

	return conf_receive(c, TYPE_tell_conf_milter_set, &m);
}

static void
give_milter(struct config **c, uint32_t id)
{
	struct tell_conf_milter m = { .id = id, .name = STR("f") };
	struct tell_conf_milter_socket s = { .text = STR("/f"),
		.path = STR("/f") };

	ck_assert_int_eq(conf_receive(c, TYPE_tell_conf_milter, &m), 0);
	ck_assert_int_eq(conf_receive(c, TYPE_tell_conf_milter_socket, &s), 0);
}

START_TEST(refuses_nonsense_of_milters)
{
	struct config *c = begun();
	struct tell_conf_milter m = { .id = 1, .name = STR("f") };
	struct tell_conf_milter_socket s = { .text = STR("x"),
		.path = STR("/f") };
	/* A socket of nobody; out of order; no name. */
	ck_assert_int_eq(
	    conf_receive(&c, TYPE_tell_conf_milter_socket, &s), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_milter, &m), -1);
	m = (struct tell_conf_milter){ .id = 0 };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_milter, &m), -1);
	m.name = STR("f");
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_milter, &m), 0);
	/* It has no socket yet: no other, no set, no end. */
	struct tell_conf_milter other = { .id = 1, .name = STR("g") };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_milter, &other), -1);
	ck_assert_int_eq(take_set(&c, 0, NULL, 0), -1);
	/* Two places; none; no port; no address; too many. */
	s.host = STR("f.example");
	ck_assert_int_eq(
	    conf_receive(&c, TYPE_tell_conf_milter_socket, &s), -1);
	s.path = STR("");
	ck_assert_int_eq(
	    conf_receive(&c, TYPE_tell_conf_milter_socket, &s), -1);
	s.port = 1;
	s.host = STR("");
	ck_assert_int_eq(
	    conf_receive(&c, TYPE_tell_conf_milter_socket, &s), -1);
	s.address = STR("f.example");
	ck_assert_int_eq(
	    conf_receive(&c, TYPE_tell_conf_milter_socket, &s), -1);
	s.address = STR("::1");
	for (int i = 0; i < MILTER_SOCKETS_MAX; i++)
		ck_assert_int_eq(
		    conf_receive(&c, TYPE_tell_conf_milter_socket, &s), 0);
	ck_assert_int_eq(
	    conf_receive(&c, TYPE_tell_conf_milter_socket, &s), -1);
	config_unref(&c);
}

END_TEST

START_TEST(refuses_nonsense_of_sets)
{
	static const uint8_t unknown[8] = { 1 };
	static const uint8_t late[8] = { [4] = 1 };
	static const uint8_t gap[16] = { [12] = 2 };
	static const uint8_t back[24] = { [12] = 1, [20] = 0 };
	static const uint8_t good[16] = { [12] = 1 };
	static const uint8_t many[(MILTER_SET_MAX + 1) * 8] = { 0 };
	struct config *c = begun();
	struct tell_conf_rule r = { .verdict = VERDICT_REJECT,
		.action = UINT32_MAX };
	struct tell_conf_listener l = no_listener;
	l.milters = 0;
	struct tell_conf_end end = { .bare_newline_except = UINT32_MAX,
		.allow_from = UINT32_MAX,
		.deny_from = UINT32_MAX };
	struct tell_conf_retry retry = { .seconds = 1 };

	give_milter(&c, 0);
	ck_assert_int_eq(take_set(&c, 0, unknown, sizeof(unknown)), -1);
	ck_assert_int_eq(take_set(&c, 0, late, sizeof(late)), -1);
	ck_assert_int_eq(take_set(&c, 0, gap, sizeof(gap)), -1);
	ck_assert_int_eq(take_set(&c, 0, back, sizeof(back)), -1);
	ck_assert_int_eq(take_set(&c, 0, good, sizeof(good) - 1), -1);
	ck_assert_int_eq(take_set(&c, 0, many, sizeof(many)), -1);
	ck_assert_int_eq(take_set(&c, 1, good, sizeof(good)), -1);
	/* Named before it is there. */
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), -1);
	ck_assert_int_eq(take_set(&c, 0, good, sizeof(good)), 0);
	/* No filters behind sets, no sets behind who names them. */
	struct tell_conf_milter m = { .id = 1, .name = STR("g") };
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_milter, &m), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_listener, &l), 0);
	ck_assert_int_eq(take_set(&c, 1, good, sizeof(good)), -1);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_rule, &r), 0);
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_retry, &retry), 0);
	end.report_milters = 1;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), -1);
	end.report_milters = 0;
	ck_assert_int_eq(conf_receive(&c, TYPE_tell_conf_end, &end), 1);
	config_unref(&c);
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_wire_nonsense");
	TCase *tc = tcase_create("nonsense");
	tcase_add_test(tc, refuses_nonsense);
	tcase_add_test(tc, refuses_rules_that_do_not_add_up);
	tcase_add_test(tc, refuses_nonsense_of_pkis);
	tcase_add_test(tc, refuses_listeners_of_unknown_tables);
	tcase_add_test(tc, refuses_nonsense_of_dnsbls);
	tcase_add_test(tc, refuses_too_many_dnsbls);
	tcase_add_test(tc, refuses_nonsense_of_actions);
	tcase_add_test(tc, refuses_nonsense_of_tls_reports);
	tcase_add_test(tc, refuses_nonsense_of_milters);
	tcase_add_test(tc, refuses_nonsense_of_sets);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
