/*
 * The page of metrics, read line by line by a parser that takes nothing but
 * Prometheus' text format: names, one HELP and TYPE before the samples of a
 * metric and all of these together, labels with their escapes, histograms
 * that add up.
 */
#include <check.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/latency.h"
#include "web/metric_names.h"
#include "web/metrics.h"

enum { FAMILIES_MAX = 400, SAMPLES_MAX = 2000, NAME_MAX_HERE = 128 };

struct family {
	char name[NAME_MAX_HERE], type[16];
	bool has_help;
	size_t nsamples;
};

struct sample {
	char name[NAME_MAX_HERE];
	char label[NAME_MAX_HERE], value[NAME_MAX_HERE]; /* unescaped */
	char process[NAME_MAX_HERE];
	double number;
};

static struct view *view;
static struct buf text;
static struct family families[FAMILIES_MAX];
static struct sample samples[SAMPLES_MAX];
static size_t nfamilies, nsamples;

/* --- the parser --- */

static const char *
parse_name(const char *p, char out[static NAME_MAX_HERE])
{
	size_t n = 0;

	ck_assert(isalpha((unsigned char)*p) || *p == '_');
	while (isalnum((unsigned char)*p) || *p == '_') {
		ck_assert_uint_lt(n, NAME_MAX_HERE - 1);
		out[n++] = *p++;
	}
	out[n] = '\0';
	return p;
}

static struct family *
family(const char *name)
{
	for (size_t i = 0; i < nfamilies; i++)
		if (strcmp(families[i].name, name) == 0)
			return &families[i];
	return NULL;
}

static void
parse_comment(const char *line)
{
	char name[NAME_MAX_HERE];
	bool is_help = strncmp(line, "# HELP ", 7) == 0;

	ck_assert(is_help || strncmp(line, "# TYPE ", 7) == 0);
	const char *rest = parse_name(line + 7, name);

	ck_assert_int_eq(*rest++, ' ');
	ck_assert_int_ne(*rest, '\0');
	if (is_help) {
		ck_assert_msg(family(name) == NULL, "%s twice", name);
		ck_assert_ptr_null(strchr(rest, '\\'));
		ck_assert_uint_lt(nfamilies, FAMILIES_MAX);
		families[nfamilies] = (struct family){ .has_help = true };
		strcpy(families[nfamilies++].name, name);
		return;
	}
	struct family *f = &families[nfamilies - 1];

	ck_assert_str_eq(f->name, name);
	ck_assert_int_eq(f->type[0], '\0');
	ck_assert(strcmp(rest, "counter") == 0 || strcmp(rest, "gauge") == 0 ||
		  strcmp(rest, "histogram") == 0 ||
		  strcmp(rest, "untyped") == 0);
	strcpy(f->type, rest);
}

static const char *
parse_label(const char *p, struct sample *s)
{
	char name[NAME_MAX_HERE], *out = s->value;
	size_t n = 0;

	p = parse_name(p + 1, name);
	if (strcmp(name, "process") == 0)
		out = s->process;
	else
		strcpy(s->label, name);
	ck_assert_int_eq(out[0], '\0');
	ck_assert_int_eq(*p++, '=');
	ck_assert_int_eq(*p++, '"');
	for (; *p != '"'; p++) {
		char c = *p;

		ck_assert(c != '\0' && c != '\n' && (signed char)c > 0);
		if (c == '\\') {
			c = *++p;
			ck_assert(c == '\\' || c == '"' || c == 'n');
			c = c == 'n' ? '\n' : c;
		}
		ck_assert_uint_lt(n, NAME_MAX_HERE - 1);
		out[n++] = c;
	}
	out[n] = '\0';
	ck_assert(*++p == '}' || *p == ',');
	return *p == ',' ? parse_label(p, s) : p + 1;
}

/* Of the last metric, or of its parts when it is a histogram. */
static void
check_member(const char *name)
{
	struct family *f = &families[nfamilies - 1];
	size_t n = strlen(f->name);
	bool is_histogram = strcmp(f->type, "histogram") == 0;

	ck_assert_int_ne(f->type[0], '\0');
	ck_assert_msg(
	    strncmp(name, f->name, n) == 0, "%s below %s", name, f->name);
	if (is_histogram)
		ck_assert(strcmp(name + n, "_bucket") == 0 ||
			  strcmp(name + n, "_sum") == 0 ||
			  strcmp(name + n, "_count") == 0);
	else
		ck_assert_str_eq(name + n, "");
	f->nsamples++;
}

static void
parse_sample(const char *line)
{
	struct sample *s = &samples[nsamples++];
	char *end;

	ck_assert_uint_le(nsamples, SAMPLES_MAX);
	*s = (struct sample){ .number = 0 };
	const char *p = parse_name(line, s->name);

	if (*p == '{')
		p = parse_label(p, s);
	ck_assert_int_eq(*p++, ' ');
	ck_assert(isdigit((unsigned char)*p));
	s->number = strtod(p, &end);
	ck_assert_int_eq(*end, '\0');
	check_member(s->name);
	for (size_t i = 0; i + 1 < nsamples; i++)
		ck_assert_msg(strcmp(samples[i].name, s->name) != 0 ||
				  strcmp(samples[i].value, s->value) != 0 ||
				  strcmp(samples[i].process, s->process) != 0,
		    "%s{%s} twice", s->name, s->value);
}

static void
parse(void)
{
	char *copy, *line, *rest;

	nfamilies = nsamples = 0;
	buf_reset(&text);
	metrics_format(view, &text);
	ck_assert_uint_gt(text.len, 0);
	ck_assert_int_eq(text.p[text.len - 1], '\n');
	copy = rest = str_dup(buf_str(&text));
	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL)
		(*line == '#' ? parse_comment : parse_sample)(line);
	free(copy);
	for (size_t i = 0; i < nfamilies; i++) {
		ck_assert_int_ne(families[i].type[0], '\0');
		ck_assert_uint_gt(families[i].nsamples, 0);
	}
}

static double
number_of(const char *process, const char *name, const char *value)
{
	for (size_t i = 0; i < nsamples; i++)
		if (strcmp(samples[i].name, name) == 0 &&
		    strcmp(samples[i].value, value) == 0 &&
		    strcmp(samples[i].process, process) == 0)
			return samples[i].number;
	ck_abort_msg("no %s{%s} of %s", name, value, process);
	return -1;
}

static double
number(const char *name, const char *value)
{
	return number_of("", name, value);
}

static const char *
type_of(const char *name)
{
	const struct family *f = family(name);

	return f == NULL ? "none" : f->type;
}

/* --- what it is made of --- */

static void
add_stat_of(const char *process, const char *name, uint64_t value)
{
	struct row_stat m = {
		.name = str_of(name), .process = str_of(process), .value = value
	};

	view_add_stat(view, &m);
}

static void
add_stat(const char *name, uint64_t value)
{
	add_stat_of("queue/0", name, value);
}

static void
add_process(const char *role, uint16_t instance, bool ready, uint32_t restarts)
{
	struct row_process m = { .role = str_of(role),
		.instance = instance,
		.pid = 4711,
		.ready = ready,
		.restarts = restarts };

	view_add_process(view, &m);
}

static void
add_histogram(const char *process, const char *name, const struct latency *l)
{
	char full[NAME_MAX_HERE];

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		if (latency_bound_us(i) == UINT64_MAX)
			snprintf(full, sizeof(full), "%s.le_inf", name);
		else
			snprintf(full, sizeof(full), "%s.le_%" PRIu64, name,
			    latency_bound_us(i));
		add_stat_of(process, full, l->counts[i]);
	}
	snprintf(full, sizeof(full), "%s.count", name);
	add_stat_of(process, full, l->count);
	snprintf(full, sizeof(full), "%s.sum_us", name);
	add_stat_of(process, full, l->sum_us);
}

static void
setup(void)
{
	view = view_new();
	view->known = KNOWN_STATS;
	buf_init(&text, METRICS_BYTES_MAX);
}

static void
teardown(void)
{
	view_free(&view);
	buf_clear(&text);
}

START_TEST(nothing_is_known)
{
	view->known = 0;
	parse();
	ck_assert_uint_eq(nsamples, 1);
	ck_assert_double_eq(number("postern_up", ""), 1);
}

END_TEST

START_TEST(numbers)
{
	add_stat("queue.commits", 12345678901234);
	add_stat("smtpd.sessions", 7);
	add_stat("queue.bytes", 0);
	parse();
	ck_assert_str_eq(type_of("postern_queue_commits_total"), "counter");
	ck_assert_double_eq(
	    number("postern_queue_commits_total", ""), 12345678901234.0);
	ck_assert_str_eq(type_of("postern_smtpd_sessions"), "gauge");
	ck_assert_double_eq(number("postern_smtpd_sessions", ""), 7);
	ck_assert_double_eq(number("postern_queue_bytes", ""), 0);
	ck_assert_uint_eq(nfamilies, 4);
}

END_TEST

/* What a later version counts is seen, and does no harm. */
START_TEST(unknown_numbers)
{
	add_stat("later.odd-thing", 3);
	add_stat("milter.spam.later", 4);
	add_stat("queue.commit.le_65", 5);
	parse();
	ck_assert_str_eq(type_of("postern_later_odd_thing"), "untyped");
	ck_assert_double_eq(number("postern_later_odd_thing", ""), 3);
	ck_assert_double_eq(number("postern_milter_spam_later", ""), 4);
	ck_assert_double_eq(number("postern_queue_commit_le_65", ""), 5);
	ck_assert_str_eq(type_of("postern_queue_commit_seconds"), "none");
}

END_TEST

START_TEST(one_metric_for_all_filters)
{
	add_stat("milter.a.passed", 1);
	add_stat("milter.a.failures", 2);
	add_stat("milter.b.c.passed", 3);
	add_stat("milter.b.c.failures", 4);
	add_stat("queue.ipc_sent", 5);
	add_stat_of("web/0", "web.ipc_sent", 6);
	parse();
	ck_assert_double_eq(
	    number_of("queue/0", "postern_milter_passed_total", "a"), 1);
	ck_assert_double_eq(
	    number_of("queue/0", "postern_milter_passed_total", "b.c"), 3);
	ck_assert_double_eq(
	    number_of("queue/0", "postern_milter_failures_total", "b.c"), 4);
	ck_assert_double_eq(
	    number_of("queue/0", "postern_ipc_sent_total", "queue"), 5);
	ck_assert_double_eq(
	    number_of("web/0", "postern_ipc_sent_total", "web"), 6);
	ck_assert_uint_eq(nfamilies, 4);
}

END_TEST

START_TEST(histogram)
{
	struct latency l = { 0 };
	double before = -1, bound, last = -1;

	latency_add(&l, 0);
	latency_add(&l, 63);
	latency_add(&l, 64);
	latency_add(&l, 1500000);
	latency_add(&l, UINT64_C(3600000000));
	add_histogram("queue/0", "queue.commit", &l);
	parse();
	ck_assert_str_eq(type_of("postern_queue_commit_seconds"), "histogram");
	ck_assert_double_eq(
	    number("postern_queue_commit_seconds_bucket", "0.000064"), 2);
	ck_assert_double_eq(
	    number("postern_queue_commit_seconds_bucket", "0.000096"), 3);
	ck_assert_double_eq(
	    number("postern_queue_commit_seconds_bucket", "1.048576"), 3);
	ck_assert_double_eq(
	    number("postern_queue_commit_seconds_bucket", "1.572864"), 4);
	ck_assert_double_eq(
	    number("postern_queue_commit_seconds_bucket", "+Inf"), 5);
	ck_assert_double_eq(
	    number("postern_queue_commit_seconds_count", ""), 5);
	ck_assert_double_eq_tol(
	    number("postern_queue_commit_seconds_sum", ""), 3601.500127, 1e-9);
	/* Bounds grow, and so does what is below them. */
	for (size_t i = 0; i < nsamples; i++) {
		if (strcmp(samples[i].label, "le") != 0)
			continue;
		bound = strcmp(samples[i].value, "+Inf") == 0 ?
			    1e30 :
			    strtod(samples[i].value, NULL);
		ck_assert_double_gt(bound, last);
		ck_assert_double_ge(samples[i].number, before);
		last = bound;
		before = samples[i].number;
	}
	ck_assert_double_eq(last, 1e30);
	ck_assert_uint_eq(nfamilies, 2);
}

END_TEST

/* Counters of each process for itself, so that one that begins anew is seen;
 * of what is there now the sum. */
START_TEST(several_processes)
{
	struct latency a = { 0 }, b = { 0 };

	add_stat_of("smtpd/1", "milter.spam.passed", 3);
	add_stat_of("smtpd/2", "milter.spam.passed", 4);
	add_stat_of("smtpd/1", "milter.spam.sessions", 5);
	add_stat_of("smtpd/2", "milter.spam.sessions", 6);
	add_stat_of("smtpd/1", "smtpd.connections", 7);
	add_stat_of("smtpd/2", "smtpd.connections", 8);
	add_stat_of("smtpd/1", "smtpd.later", 9);
	add_stat_of("smtpd/2", "smtpd.later", 10);
	add_stat_of("smtpd/1", "smtpd.sessions", 11);
	add_stat_of("smtpd/2", "smtpd.sessions", 12);
	latency_add(&a, 1000000);
	latency_add(&b, 2000000);
	latency_add(&b, 3000000);
	add_histogram("smtpd/1", "smtpd.accept", &a);
	add_histogram("smtpd/2", "smtpd.accept", &b);
	parse();
	ck_assert_double_eq(
	    number_of("smtpd/1", "postern_milter_passed_total", "spam"), 3);
	ck_assert_double_eq(
	    number_of("smtpd/2", "postern_milter_passed_total", "spam"), 4);
	ck_assert_double_eq(number("postern_milter_sessions", "spam"), 11);
	ck_assert_double_eq(
	    number_of("smtpd/1", "postern_smtpd_connections_total", ""), 7);
	ck_assert_double_eq(
	    number_of("smtpd/2", "postern_smtpd_connections_total", ""), 8);
	ck_assert_double_eq(number("postern_smtpd_later", ""), 19);
	ck_assert_double_eq(number("postern_smtpd_sessions", ""), 23);
	ck_assert_double_eq(
	    number_of("smtpd/1", "postern_smtpd_accept_seconds_sum", ""), 1);
	ck_assert_double_eq(
	    number_of("smtpd/2", "postern_smtpd_accept_seconds_sum", ""), 5);
	ck_assert_double_eq(
	    number_of("smtpd/1", "postern_smtpd_accept_seconds_bucket", "+Inf"),
	    1);
	ck_assert_double_eq(
	    number_of("smtpd/2", "postern_smtpd_accept_seconds_count", ""), 2);
	ck_assert_uint_eq(nfamilies, 7);
}

END_TEST

START_TEST(status)
{
	struct row_gateway gateway = { .version = STR("1.\"2\\3\n4") };
	struct row_listener v4 = {
		.address = STR("192.0.2.1"), .port = 25, .sessions = 3
	};
	struct row_listener v6 = { .address = STR("2001:db8::1"), .port = 25 };
	struct row_listener local = { .address = STR("/run/a\xc3\xa4\"b") };
	struct row_milter milter = { .name = STR("spam"), .state = 1 };
	struct row_pause pause = { .what = PAUSE_DELIVERY };

	view->known = KNOWN_STATUS | KNOWN_PAUSES | KNOWN_MILTERS;
	view_add_gateway(view, &gateway);
	view_add_listener(view, &v4);
	view_add_listener(view, &v6);
	view_add_listener(view, &local);
	add_process("smtpd", 0, true, 2);
	add_process("queue", 0, false, 0);
	add_process("smtpd", 1, true, 3);
	view_add_milter(view, &milter);
	milter.name = STR("virus");
	view_add_milter(view, &milter);
	milter.state = 0;
	view_add_milter(view, &milter);
	view_add_pause(view, &pause);
	parse();
	ck_assert_double_eq(number("postern_build_info", "1.\"2\\3\n4"), 1);
	ck_assert_double_eq(number("postern_processes", "smtpd"), 2);
	ck_assert_double_eq(number("postern_processes", "queue"), 0);
	ck_assert_double_eq(
	    number("postern_process_restarts_total", "smtpd"), 5);
	ck_assert_double_eq(
	    number("postern_listener_sessions", "192.0.2.1:25"), 3);
	ck_assert_double_eq(
	    number("postern_listener_sessions", "[2001:db8::1]:25"), 0);
	ck_assert_double_eq(
	    number("postern_listener_sessions", "/run/a??\"b"), 0);
	ck_assert_double_eq(number("postern_milter_up", "spam"), 0);
	ck_assert_double_eq(number("postern_milter_up", "virus"), 1);
	ck_assert_double_eq(number("postern_paused", "smtp"), 0);
	ck_assert_double_eq(number("postern_paused", "delivery"), 1);
}

END_TEST

/* Names are those of base units, and no two are the same. */
START_TEST(table)
{
	char text_of[NAME_MAX_HERE];

	for (size_t i = 0; i < metric_table_size; i++) {
		const struct metric *m = &metric_table[i];
		size_t n = strlen(m->name);
		bool is_total = n > 6 && strcmp(m->name + n - 6, "_total") == 0;

		parse_name(m->name, text_of);
		ck_assert_str_eq(text_of, m->name);
		ck_assert_int_eq(strncmp(m->name, "postern_", 8), 0);
		ck_assert_int_eq(is_total, m->type == METRIC_COUNTER);
		ck_assert_ptr_null(strpbrk(m->help, "\\\n"));
		ck_assert_int_eq(
		    m->label != NULL, strchr(m->stat, '*') != NULL);
		for (size_t k = 0; k < i; k++) {
			ck_assert_str_ne(metric_table[k].name, m->name);
			ck_assert_str_ne(metric_table[k].stat, m->stat);
		}
	}
}

END_TEST

/* Whoever tells more than there can be fills nothing. */
START_TEST(bounded)
{
	for (size_t i = 0; i < VIEW_ROWS_MAX + 10; i++)
		add_process("smtpd", (uint16_t)i, true, 1);
	ck_assert_uint_eq(view->nprocesses, VIEW_ROWS_MAX);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("metrics");
	TCase *tc = tcase_create("metrics");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_is_known);
	tcase_add_test(tc, numbers);
	tcase_add_test(tc, unknown_numbers);
	tcase_add_test(tc, one_metric_for_all_filters);
	tcase_add_test(tc, histogram);
	tcase_add_test(tc, several_processes);
	tcase_add_test(tc, status);
	tcase_add_test(tc, table);
	tcase_add_test(tc, bounded);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
