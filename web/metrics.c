/* All samples of a metric stand together, below its HELP and TYPE. */
#include "web/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/latency.h"
#include "web/metric_names.h"

enum { MICROSECONDS = 1000000 };

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

struct page {
	const struct view *v;
	struct buf *out;
	bool *told; /* of each number: it has come out */
};

/* --- lines --- */

static void
add_head(struct buf *out, const char *name, const char *help, const char *type)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, and the quotes around it. */
static void
add_quoted(struct buf *out, struct str value)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];

		if (c == '\n') {
			buf_add_str(out, STR("\\n"));
			continue;
		}
		if (c == '"' || c == '\\')
			buf_add_char(out, '\\');
		/* What is no UTF-8 has no place there. */
		buf_add_char(out, (signed char)c < 0 ? '?' : c);
	}
	buf_add_char(out, '"');
}

static void
add_sample(struct buf *out, const char *name, const char *label,
    struct str value, uint64_t n)
{
	buf_addf(out, "%s", name);
	if (label != NULL) {
		buf_addf(out, "{%s=", label);
		add_quoted(out, value);
		buf_add_char(out, '}');
	}
	buf_addf(out, " %" PRIu64 "\n", n);
}

/* --- what is no number of `show stats` --- */

static void
add_version(struct buf *out, const struct view *v)
{
	add_head(out, "postern_build_info", "Which version runs.", "gauge");
	add_sample(out, "postern_build_info", "version", str_of(v->version), 1);
}

/* Is this the first process of its role? */
static bool
begins_role(const struct view *v, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(v->processes[k].role, v->processes[i].role) == 0)
			return false;
	return true;
}

static uint64_t
sum_ready(const struct view_process *p)
{
	return p->is_ready;
}

static uint64_t
sum_restarts(const struct view_process *p)
{
	return p->restarts;
}

static void
add_roles(struct buf *out, const struct view *v, const char *name,
    uint64_t (*value)(const struct view_process *p))
{
	for (size_t i = 0; i < v->nprocesses; i++) {
		uint64_t n = 0;

		if (!begins_role(v, i))
			continue;
		for (size_t k = i; k < v->nprocesses; k++)
			if (strcmp(v->processes[k].role,
				v->processes[i].role) == 0)
				n += value(&v->processes[k]);
		add_sample(out, name, "role", str_of(v->processes[i].role), n);
	}
}

static void
add_status(struct buf *out, const struct view *v)
{
	if (v->version != NULL)
		add_version(out, v);
	add_head(out, "postern_processes", "Processes that work.", "gauge");
	add_roles(out, v, "postern_processes", sum_ready);
	add_head(out, "postern_process_restarts_total",
	    "How often processes were started again.", "counter");
	add_roles(out, v, "postern_process_restarts_total", sum_restarts);
	if (v->nlisteners == 0)
		return;
	add_head(out, "postern_listener_sessions",
	    "SMTP sessions that are open, by listener.", "gauge");
	for (size_t i = 0; i < v->nlisteners; i++)
		add_sample(out, "postern_listener_sessions", "listener",
		    str_of(v->listeners[i].name), v->listeners[i].sessions);
}

static void
add_pauses(struct buf *out, const struct view *v)
{
	add_head(out, "postern_paused", "1 while it stands still.", "gauge");
	add_sample(out, "postern_paused", "what", STR("smtp"), v->is_paused);
	add_sample(out, "postern_paused", "what", STR("delivery"),
	    v->is_delivery_paused);
}

static void
add_milters(struct buf *out, const struct view *v)
{
	if (v->nmilters == 0)
		return;
	add_head(
	    out, "postern_milter_up", "1 while this filter is asked.", "gauge");
	for (size_t i = 0; i < v->nmilters; i++)
		add_sample(out, "postern_milter_up", "milter",
		    str_of(v->milters[i].name), v->milters[i].is_up);
}

/* --- numbers of `show stats` --- */

/* Does the name fit? label: what stands in the star's place. */
static bool
matches(const struct metric *m, const char *stat, struct str *label)
{
	const char *star = strchr(m->stat, '*');
	struct str name = str_of(stat);

	if (star == NULL)
		return strcmp(m->stat, stat) == 0;
	size_t head = (size_t)(star - m->stat), tail = strlen(star + 1);

	if (name.len <= head + tail || strncmp(stat, m->stat, head) != 0 ||
	    strcmp(stat + name.len - tail, star + 1) != 0)
		return false;
	*label = (struct str){ stat + head, name.len - head - tail };
	return true;
}

/* The number at i and those of other processes by that name, which stand
 * right behind it. */
static uint64_t
sum_from(struct page *p, size_t i)
{
	const struct view_stat *stats = p->v->stats;
	uint64_t sum = 0;

	for (size_t k = i;
	     k < p->v->nstats && strcmp(stats[k].name, stats[i].name) == 0;
	     k++) {
		sum += stats[k].value;
		p->told[k] = true;
	}
	return sum;
}

/* Of one process; label: of what else. */
static void
add_apart(struct buf *out, const struct metric *m, struct str label,
    const struct view_stat *s)
{
	buf_addf(out, "%s{", m->name);
	if (m->label != NULL) {
		buf_addf(out, "%s=", m->label);
		add_quoted(out, label);
		buf_add_char(out, ',');
	}
	buf_add_str(out, STR("process="));
	add_quoted(out, str_of(s->process));
	buf_addf(out, "} %" PRIu64 "\n", s->value);
}

static void
add_plain(struct page *p, const struct metric *m)
{
	bool begun = false;

	for (size_t i = 0; i < p->v->nstats; i++) {
		const struct view_stat *s = &p->v->stats[i];
		struct str label = { NULL, 0 };

		if (p->told[i] || !matches(m, s->name, &label))
			continue;
		if (!begun)
			add_head(p->out, m->name, m->help, type_names[m->type]);
		begun = true;
		p->told[i] = true;
		if (m->is_apart)
			add_apart(p->out, m, label, s);
		else
			add_sample(
			    p->out, m->name, m->label, label, sum_from(p, i));
	}
}

/* What follows "NAME." when it is a row of that histogram; else NULL. */
static const char *
histogram_part(const struct metric *m, const char *stat)
{
	size_t n = strlen(m->stat);

	if (strncmp(stat, m->stat, n) != 0 || stat[n] != '.')
		return NULL;
	return stat + n + 1;
}

/* -1: it is no bucket of ours. */
static int
bucket_of(const char *part)
{
	uint64_t bound = UINT64_MAX;

	if (strncmp(part, "le_", 3) != 0 ||
	    (strcmp(part + 3, "inf") != 0 &&
		str_to_u64(str_of(part + 3), UINT64_MAX - 1, &bound) == -1))
		return -1;
	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++)
		if (latency_bound_us(i) == bound)
			return (int)i;
	return -1;
}

/* Takes the number into l; false: it is none of this histogram's. */
static bool
take_part(const struct metric *m, const struct view_stat *s, struct latency *l)
{
	const char *part = histogram_part(m, s->name);
	int bucket = part == NULL ? -1 : bucket_of(part);

	if (part == NULL)
		return false;
	if (bucket != -1)
		l->counts[bucket] += s->value;
	else if (strcmp(part, "sum_us") == 0)
		l->sum_us += s->value;
	else
		return strcmp(part, "count") == 0;
	return true;
}

/* Its rows into l: those of a process, or all (NULL). */
static void
gather(struct page *p, const struct metric *m, const char *process,
    struct latency *l)
{
	for (size_t i = 0; i < p->v->nstats; i++) {
		const struct view_stat *s = &p->v->stats[i];

		if (!p->told[i] &&
		    (process == NULL || strcmp(s->process, process) == 0))
			p->told[i] = take_part(m, s, l);
	}
}

/* Microseconds as seconds, without zeros at the end. */
static void
add_seconds(struct buf *out, uint64_t us)
{
	uint64_t rest = us % MICROSECONDS;
	int digits = 6;

	buf_addf(out, "%" PRIu64, us / MICROSECONDS);
	for (; rest != 0 && rest % 10 == 0; digits--)
		rest /= 10;
	if (rest != 0)
		buf_addf(out, ".%0*" PRIu64, digits, rest);
}

/* What stands before a number of a histogram. process, bound_us: labels; NULL
 * and 0: there is none. */
static void
add_part(struct buf *out, const struct metric *m, const char *part,
    const char *process, uint64_t bound_us)
{
	buf_addf(out, "%s_%s", m->name, part);
	if (process != NULL) {
		buf_add_str(out, STR("{process="));
		add_quoted(out, str_of(process));
	}
	if (bound_us != 0) {
		buf_addf(out, process != NULL ? ",le=\"" : "{le=\"");
		if (bound_us == UINT64_MAX)
			buf_add_str(out, STR("+Inf"));
		else
			add_seconds(out, bound_us);
		buf_add_char(out, '"');
	}
	buf_addf(out, process != NULL || bound_us != 0 ? "} " : " ");
}

static void
add_buckets(struct buf *out, const struct metric *m, const char *process,
    const struct latency *l)
{
	uint64_t count = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		count += l->counts[i];
		add_part(out, m, "bucket", process, latency_bound_us(i));
		buf_addf(out, "%" PRIu64 "\n", count);
	}
	add_part(out, m, "sum", process, 0);
	add_seconds(out, l->sum_us);
	buf_add_char(out, '\n');
	add_part(out, m, "count", process, 0);
	buf_addf(out, "%" PRIu64 "\n", count);
}

static void
add_histogram(struct page *p, const struct metric *m)
{
	bool begun = false;

	for (size_t i = 0; i < p->v->nstats; i++) {
		const struct view_stat *s = &p->v->stats[i];
		const char *process = m->is_apart ? s->process : NULL;
		struct latency l = { 0 };

		if (p->told[i] || !take_part(m, s, &l))
			continue;
		l = (struct latency){ 0 };
		gather(p, m, process, &l);
		if (!begun)
			add_head(p->out, m->name, m->help, type_names[m->type]);
		begun = true;
		add_buckets(p->out, m, process, &l);
	}
}

/* Under the name it has, as far as a metric can be called so. */
static void
add_unknown(struct page *p, size_t i)
{
	char *name = xstrdup(p->v->stats[i].name);

	for (char *c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c))
			*c = '_';
	buf_addf(p->out,
	    "# HELP postern_%s A number of show stats.\n"
	    "# TYPE postern_%s untyped\n"
	    "postern_%s %" PRIu64 "\n",
	    name, name, name, sum_from(p, i));
	free(name);
}

static void
add_stats(struct buf *out, const struct view *v)
{
	struct page p = { v, out, xcalloc(v->nstats + 1, sizeof(bool)) };

	for (size_t i = 0; i < metric_table_size; i++)
		(metric_table[i].type == METRIC_HISTOGRAM ?
			add_histogram :
			add_plain)(&p, &metric_table[i]);
	for (size_t i = 0; i < v->nstats; i++)
		if (!p.told[i])
			add_unknown(&p, i);
	free(p.told);
}

void
metrics_format(const struct view *v, struct buf *out)
{
	add_head(out, "postern_up", "1: the gateway answers.", "gauge");
	add_sample(out, "postern_up", NULL, STR(""), 1);
	if (v->known & KNOWN_STATUS)
		add_status(out, v);
	if (v->known & KNOWN_PAUSES)
		add_pauses(out, v);
	if (v->known & KNOWN_MILTERS)
		add_milters(out, v);
	if (v->known & KNOWN_STATS)
		add_stats(out, v);
}
