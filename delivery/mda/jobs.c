#include "delivery/mda/jobs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/mda/exit_status.h"
#include "delivery/mda/expand.h"
#include "delivery/mda/run.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/proc/child.h"
#include "lib/rules/instance.h"

/* A command that runs, for a recipient. */
struct job {
	LIST_ENTRY(job) next;
	struct local_work *work; /* NULL: the queue is gone */
	uint32_t rcpt;           /* of the work's */
	char *action;            /* whose command it is */
	char *command;           /* its program */
	struct run *run;
};

static struct loop *loop;
static struct config *config;
static struct account account;
static struct channel *queue;
static TAILQ_HEAD(, local_work) works = TAILQ_HEAD_INITIALIZER(works);
static LIST_HEAD(, job) jobs = LIST_HEAD_INITIALIZER(jobs);
static unsigned int nruns;
static struct deferred turn;
static bool stopping;
static void (*on_stopped)(void);

static void run_turns(void *unused);

void
jobs_init(struct loop *l)
{
	loop = l;
	deferred_init(&turn, run_turns, NULL);
}

void
jobs_set_config(struct config *c)
{
	struct config *old = config;

	config = config_ref(c);
	if (old != NULL)
		config_unref(&old);
	/* Here and not at each run: the system's answer may take time. */
	if (account.name == NULL)
		account_init(&account);
}

/* --- results --- */

/* One recipient less is under way; the last ends the work. */
static void
end_rcpt(struct local_work *w)
{
	w->running--;
	if (w->running > 0 || w->begun < w->nrcpts)
		return;
	local_work_done(w, queue);
	TAILQ_REMOVE(&works, w, entry);
	local_work_free(&w);
}

static void
job_free(struct job *j)
{
	LIST_REMOVE(j, next);
	nruns--;
	free(j->action);
	free(j->command);
	free(j);
}

static void
tell(const struct job *j, const struct local_outcome *o)
{
	local_work_tell(
	    j->work, &j->work->rcpts[j->rcpt], o, str_of(j->command), queue);
	end_rcpt(j->work);
}

static void
on_end(void *ctx, enum run_end end, int status, struct str output)
{
	struct job *j = ctx;
	struct local_outcome o;

	if (j->work != NULL) {
		exit_status_judge(end, status, output, &o);
		tell(j, &o);
	}
	job_free(j);
	loop_after(loop, &turn);
}

/* --- beginnings --- */

/* NULL: there is none, or it is another user's by now. */
static const struct action *
find_action(const struct local_work *w)
{
	const struct action *a =
	    config == NULL ? NULL :
			     config_agent_action(config, str_of(w->action),
				 ACTION_MDA, child_instance());

	return a == NULL || a->command == NULL ? NULL : a;
}

static int
start_job(struct local_work *w, uint32_t rcpt, const struct action *a,
    struct fault *why)
{
	const struct local_rcpt *r = &w->rcpts[rcpt];
	struct expand_values v = {
		.rcpt = str_of(r->to),
		.sender = str_of(w->from),
		.orcpt = str_of(r->orcpt),
		.hostname = str_of(config->hostname),
	};
	struct mail_text text;
	struct expanded e;
	struct run_order o = {
		.folder = account.home,
		.text = &text,
		.timeout_ms = a->timeout_ms,
	};
	struct job *j;

	if (expand(a->command, &account, &v, &e, why) == -1)
		return -1;
	local_work_text(w, r, &text);
	o.argv = e.argv;
	o.envp = e.envp;
	j = xcalloc(1, sizeof(*j));
	j->work = w;
	j->rcpt = rcpt;
	j->run = run_start(loop, &o, on_end, j, why);
	if (j->run == NULL) {
		free(j);
		expanded_clear(&e);
		return -1;
	}
	j->action = xstrdup(w->action);
	j->command = xstrdup(e.argv[0]);
	LIST_INSERT_HEAD(&jobs, j, next);
	nruns++;
	expanded_clear(&e);
	return 0;
}

/* The next recipient of a work, which may be gone then. */
static void
begin_rcpt(struct local_work *w)
{
	const struct action *a = find_action(w);
	uint32_t rcpt = w->begun++;
	struct local_outcome o;
	struct fault why = { 0 };

	w->running++;
	if (a == NULL)
		(void)fault_set(
		    &why, FAULT_OURS, "the action has no command here");
	else if (start_job(w, rcpt, a, &why) == 0)
		return;
	if (why.class == FAULT_PERM)
		local_outcome_set(&o, OUTCOME_FAILED, "5.1.3", why.text);
	else
		local_outcome_set(&o, OUTCOME_DEFERRED, "4.3.5", why.text);
	local_work_tell(w, &w->rcpts[rcpt], &o, STR(""), queue);
	end_rcpt(w);
}

/* May one more of this action run? */
static bool
has_room(const char *action)
{
	const struct job *j;
	unsigned int n = 0;

	LIST_FOREACH(j, &jobs, next)
		n += strcmp(j->action, action) == 0;
	return n < JOBS_RUNS_MAX;
}

/* The next work that may begin with a recipient; it goes behind the
 * others. */
static struct local_work *
next_work(void)
{
	struct local_work *w;

	TAILQ_FOREACH(w, &works, entry)
		if (w->begun < w->nrcpts && has_room(w->action)) {
			TAILQ_REMOVE(&works, w, entry);
			TAILQ_INSERT_TAIL(&works, w, entry);
			return w;
		}
	return NULL;
}

static void
run_turns(void *unused)
{
	struct local_work *w;

	(void)unused;
	while (!stopping && (w = next_work()) != NULL)
		begin_rcpt(w);
	if (stopping && nruns == 0)
		on_stopped();
}

void
jobs_add(struct local_work *w, struct channel *ch)
{
	queue = ch;
	TAILQ_INSERT_TAIL(&works, w, entry);
	loop_after(loop, &turn);
}

/* --- ends --- */

void
jobs_lose(void)
{
	struct local_work *w;
	struct job *j;

	queue = NULL;
	LIST_FOREACH(j, &jobs, next) {
		j->work = NULL;
		run_stop(j->run);
	}
	while ((w = TAILQ_FIRST(&works)) != NULL) {
		TAILQ_REMOVE(&works, w, entry);
		local_work_free(&w);
	}
}

void
jobs_stop(void (*done)(void))
{
	stopping = true;
	on_stopped = done;
	loop_after(loop, &turn);
}

void
jobs_kill(void)
{
	struct local_outcome o;
	struct job *j;

	local_outcome_set(
	    &o, OUTCOME_DEFERRED, "4.3.2", "the gateway stopped the command");
	while ((j = LIST_FIRST(&jobs)) != NULL) {
		run_kill(&j->run);
		if (j->work != NULL)
			tell(j, &o);
		job_free(j);
	}
}
