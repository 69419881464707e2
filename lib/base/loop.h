/*
 * The event loop of a process: descriptors, timers, signals, and work put
 * off to the end of the round. A thin cover of libevent; single threaded.
 */
#ifndef POSTERN_BASE_LOOP_H
#define POSTERN_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct event_base;

/* Before the jail: makes the epoll and wake-up descriptors. */
struct loop *loop_new(void);
void loop_free(struct loop **l);
/* Runs until loop_stop(); after each round runs what was put off, then
 * writes the log. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* fn at the start of every round, before it waits; NULL: nothing. */
void loop_on_round(struct loop *l, void (*fn)(void));
/* libevent's, for a library that brings its own events. */
struct event_base *loop_base(struct loop *l);
/* Runs what was put off to the end of the round now; for the last words of a
 * process. */
void loop_settle(struct loop *l);
/* Monotonic milliseconds. */
uint64_t loop_now_ms(const struct loop *l);

/* --- descriptors --- */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop_fd;
/* what: LOOP_READ | LOOP_WRITE, those that are ready. The callback may free
 * the loop_fd. */
typedef void loop_fd_fn(void *ctx, int what);
/* Watches nothing until loop_fd_want. Does not own fd. */
struct loop_fd *loop_fd_new(struct loop *l, int fd, loop_fd_fn *fn, void *ctx);
void loop_fd_want(struct loop_fd *f, int what);
void loop_fd_free(struct loop_fd **f);

/* --- timers: one shot, cheap to move further away --- */
struct timer;
typedef void timer_fn(void *ctx);
struct timer *timer_new(struct loop *l, timer_fn *fn, void *ctx);
/* Fires once, ms from now; replaces what was set before. */
void timer_set(struct timer *t, uint64_t ms);
void timer_stop(struct timer *t);
bool timer_is_set(const struct timer *t);
void timer_free(struct timer **t);

/* --- signals --- */
typedef void signal_fn(void *ctx, int sig);
/* For the life of the loop. */
void loop_signal(struct loop *l, int sig, signal_fn *fn, void *ctx);

/* --- after this round --- */
struct deferred {
	void (*fn)(void *ctx);
	void *ctx;
	bool queued;
	struct deferred *next;
};

/* Embedded in its owner. Runs once per loop_after, in the order asked; what
 * is put off while these run still belongs to the same round. */
void deferred_init(struct deferred *d, void (*fn)(void *), void *ctx);
void loop_after(struct loop *l, struct deferred *d);
/* Takes it back; nothing happens when it is not queued. */
void loop_after_cancel(struct loop *l, struct deferred *d);

#endif
