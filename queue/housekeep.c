/* The housekeeping thread; see housekeep.h. */
#include "queue/housekeep.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/alloc.h"

TAILQ_HEAD(job_list, job);

enum { STREAK_MAX = 16 };

struct housekeep {
	struct loop *loop;
	struct loop_fd *wake_fd;
	int wake; /* eventfd: something is done */
	struct deferred inline_work;
	pthread_t thread;
	bool running;
	/* Under the lock: */
	pthread_mutex_t lock;
	pthread_cond_t more; /* something to do, or to stop */
	pthread_cond_t less; /* something was done */
	struct job_list urgent, todo, done;
	unsigned int streak; /* urgent ones done in a row */
	bool busy;           /* a job is in no list */
	bool stop;
};

static void
run_done(struct housekeep *h)
{
	struct job *j;

	for (;;) {
		pthread_mutex_lock(&h->lock);
		j = TAILQ_FIRST(&h->done);
		if (j != NULL)
			TAILQ_REMOVE(&h->done, j, entry);
		pthread_mutex_unlock(&h->lock);
		if (j == NULL)
			return;
		j->done(j);
	}
}

static void
on_wake(void *ctx, int what)
{
	struct housekeep *h = ctx;
	uint64_t n;

	(void)what;
	while (read(h->wake, &n, sizeof(n)) == -1 && errno == EINTR)
		;
	run_done(h);
}

/* Has anybody asked for anything? The lock is held. */
static bool
has_work(const struct housekeep *h)
{
	return !TAILQ_EMPTY(&h->urgent) || !TAILQ_EMPTY(&h->todo);
}

/* In turns: neither kind waits for ever. The lock is held. */
static struct job *
next_job(struct housekeep *h)
{
	bool first = !TAILQ_EMPTY(&h->urgent) &&
		     (TAILQ_EMPTY(&h->todo) || h->streak < STREAK_MAX);
	struct job_list *from = first ? &h->urgent : &h->todo;
	struct job *j = TAILQ_FIRST(from);

	if (j != NULL)
		TAILQ_REMOVE(from, j, entry);
	h->streak = first ? h->streak + 1 : 0;
	return j;
}

/* One job, when there is one; the lock is held. */
static bool
work_once(struct housekeep *h)
{
	struct job *j = next_job(h);

	if (j == NULL)
		return false;
	h->busy = true;
	pthread_mutex_unlock(&h->lock);
	j->work(j);
	pthread_mutex_lock(&h->lock);
	h->busy = false;
	TAILQ_INSERT_TAIL(&h->done, j, entry);
	return true;
}

static void *
thread_main(void *ctx)
{
	struct housekeep *h = ctx;
	uint64_t one = 1;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		if (!work_once(h)) {
			pthread_cond_wait(&h->more, &h->lock);
			continue;
		}
		pthread_cond_signal(&h->less);
		while (
		    write(h->wake, &one, sizeof(one)) == -1 && errno == EINTR)
			;
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void
run_inline(void *ctx)
{
	struct housekeep *h = ctx;

	if (h->running)
		return;
	pthread_mutex_lock(&h->lock);
	while (work_once(h)) {
		pthread_mutex_unlock(&h->lock);
		run_done(h);
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
}

struct housekeep *
housekeep_new(struct loop *l)
{
	struct housekeep *h;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd == -1)
		return NULL;
	h = xcalloc(1, sizeof(*h));
	h->loop = l;
	h->wake = fd;
	h->wake_fd = loop_fd_new(l, fd, on_wake, h);
	deferred_init(&h->inline_work, run_inline, h);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->more, NULL);
	pthread_cond_init(&h->less, NULL);
	TAILQ_INIT(&h->urgent);
	TAILQ_INIT(&h->todo);
	TAILQ_INIT(&h->done);
	return h;
}

int
housekeep_start(struct housekeep *h)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&h->thread, NULL, thread_main, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		errno = error;
		return -1;
	}
	h->running = true;
	loop_fd_want(h->wake_fd, LOOP_READ);
	return 0;
}

void
housekeep_post(struct housekeep *h, struct job *j, bool urgent)
{
	pthread_mutex_lock(&h->lock);
	TAILQ_INSERT_TAIL(urgent ? &h->urgent : &h->todo, j, entry);
	pthread_cond_signal(&h->more);
	pthread_mutex_unlock(&h->lock);
	if (!h->running)
		loop_after(h->loop, &h->inline_work);
}

static bool
wait_idle(struct housekeep *h)
{
	bool idle;

	pthread_mutex_lock(&h->lock);
	while (h->busy || (has_work(h) && TAILQ_EMPTY(&h->done)))
		pthread_cond_wait(&h->less, &h->lock);
	idle = !has_work(h) && TAILQ_EMPTY(&h->done);
	pthread_mutex_unlock(&h->lock);
	return idle;
}

void
housekeep_drain(struct housekeep *h)
{
	if (!h->running) {
		run_inline(h);
		return;
	}
	while (!wait_idle(h))
		run_done(h);
}

void
housekeep_free(struct housekeep **hp)
{
	struct housekeep *h = *hp;

	if (h == NULL)
		return;
	if (h->running) {
		pthread_mutex_lock(&h->lock);
		h->stop = true;
		pthread_cond_signal(&h->more);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->thread, NULL);
	}
	loop_after_cancel(h->loop, &h->inline_work);
	loop_fd_free(&h->wake_fd);
	close(h->wake);
	pthread_cond_destroy(&h->less);
	pthread_cond_destroy(&h->more);
	pthread_mutex_destroy(&h->lock);
	free(h);
	*hp = NULL;
}
